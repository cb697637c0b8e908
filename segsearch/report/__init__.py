"""What people look at: progress while a study runs, its tables, its CSV file, its picture."""
