"""A study, a run or a leaderboard as one HTML file: charts to point at, tables to sort, nothing fetched."""
