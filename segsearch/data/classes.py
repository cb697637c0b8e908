"""Classes of published data sets: names, colours, and the label values that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from segsearch.data.dataset import IGNORE
from segsearch.data.labels import ColourLabels, IdLabels, LabelReader
from segsearch.data.palette import CAMVID_CLASSES, CAMVID_COLOURS, Colour, distinct
from segsearch.errors import InputError
from segsearch.frozen import shown_name


@dataclass(frozen=True, kw_only=True)
class Classes:
    """What label files of a data set mean: names and colours by class index, and what reads the files."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    read_label: LabelReader


def check_names(names: Sequence[str], place: object) -> None:
    """See that names of classes that no file of a data set describes can be shown, and differ. Raises InputError."""
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError(f"{place}[{index}]", f"{name!r} is no text", "names that can be read in one line")
        try:
            shown_name(name)
        except ValueError as error:
            raise InputError(f"{place}[{index}]", str(error), "names that can be read in one line") from error
        if name in names[:index]:
            raise InputError(f"{place}[{index}]", f"{name!r} stands twice", "names that differ")


def _ids(ids: tuple[int | tuple[int, ...], ...], ignore: tuple[int, ...], note: str = "") -> IdLabels:
    return IdLabels(ids=ids, ignore=ignore, fixed=True, note=note)


def _from_0(text: str) -> Classes:
    """Read ``name r,g,b; ...``, one entry for each id 0, 1, 2, ...; ``-`` for a colour marks an id to ignore."""
    entries = [entry.split() for entry in text.split(";")]
    kept = [k for k, entry in enumerate(entries) if entry[-1] != "-"]
    colours = [[int(value) for value in entries[k][-1].split(",")] for k in kept]
    return Classes(
        names=tuple(" ".join(entries[k][:-1]) for k in kept),
        colours=tuple((red, green, blue) for red, green, blue in colours),
        read_label=_ids(tuple(kept), tuple(k for k in range(len(entries)) if k not in kept)),
    )


def _from_1(text: str, note: str = "") -> Classes:
    """Read ``name, ...``, one name for each id 1, 2, 3, ...; 0 is ignored."""
    names = tuple(" ".join(name.split()) for name in text.split(","))
    ids = tuple(range(1, len(names) + 1))
    return Classes(names=names, colours=distinct(len(names)), read_label=_ids(ids, (0,), note))


CAMVID = Classes(names=CAMVID_CLASSES, colours=CAMVID_COLOURS, read_label=_ids(tuple(range(11)), (11,)))
"""SegNet's grey labels."""

_CAMVID_COLOURS: dict[str, Colour] = {
    "Bicyclist": (0, 128, 192),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "Tree": (128, 128, 0),
}
CAMVID_COLOUR = Classes(
    names=tuple(_CAMVID_COLOURS),
    colours=tuple(_CAMVID_COLOURS.values()),
    read_label=ColourLabels(colours=tuple(_CAMVID_COLOURS.values()), ignore="others"),
)
"""The original colours. Of its 32 classes 11 are learnt, in PIDNet's order; lane markings are none of them."""

CITYSCAPES = _from_0(
    """unlabeled -; ego vehicle -; rectification border -; out of roi -; static -; dynamic -; ground -;
    road 128,64,128; sidewalk 244,35,232; parking -; rail track -; building 70,70,70; wall 102,102,156;
    fence 190,153,153; guard rail -; bridge -; tunnel -; pole 153,153,153; polegroup -; traffic light 250,170,30;
    traffic sign 220,220,0; vegetation 107,142,35; terrain 152,251,152; sky 70,130,180; person 220,20,60; rider 255,0,0;
    car 0,0,142; truck 0,0,70; bus 0,60,100; caravan -; trailer -; train 0,80,100; motorcycle 0,0,230;
    bicycle 119,11,32"""
)
"""The ids of ``labelIds`` files (cityscapesScripts, helpers/labels.py)."""

CITYSCAPES_TRAIN_IDS = replace(CITYSCAPES, read_label=_ids(tuple(range(19)), (IGNORE,)))
"""The ids of ``labelTrainIds`` files, which cityscapesScripts make of the others."""

ADE20K = _from_1(
    """wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door,
    table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, armchair,
    seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of drawers,
    counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table,
    pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench,
    countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel,
    light, truck, tower, chandelier, awning, streetlight, booth, television, airplane, dirt track, apparel, pole, land,
    bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer,
    plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step,
    tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase,
    traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock,
    flag"""
)
"""The first synonyms of SceneParsing-150 (objectInfo150.txt)."""

PASCAL_CONTEXT = _from_1(
    """aeroplane, bag, bed, bedclothes, bench, bicycle, bird, boat, book, bottle, building, bus, cabinet, car, cat,
    ceiling, chair, cloth, computer, cow, cup, curtain, dog, door, fence, floor, flower, food, grass, ground, horse,
    keyboard, light, motorbike, mountain, mouse, person, plate, platform, pottedplant, road, rock, sheep, shelves,
    sidewalk, sign, sky, snow, sofa, table, track, train, tree, truck, tvmonitor, wall, water, window, wood""",
    note="; PNGs shifted to 0..58 and 255 would be read one class off",
)
"""The 59 most frequent classes in the order of their names, as mmsegmentation's and PaddleSeg's PNGs hold them."""

MAPILLARY_V12 = _from_0(
    """Bird 165,42,42; Ground Animal 0,192,0; Curb 196,196,196; Fence 190,153,153; Guard Rail 180,165,180;
    Barrier 90,120,150; Wall 102,102,156; Bike Lane 128,64,255; Crosswalk - Plain 140,140,200; Curb Cut 170,170,170;
    Parking 250,170,160; Pedestrian Area 96,96,96; Rail Track 230,150,140; Road 128,64,128; Service Lane 110,110,110;
    Sidewalk 244,35,232; Bridge 150,100,100; Building 70,70,70; Tunnel 150,120,90; Person 220,20,60; Bicyclist 255,0,0;
    Motorcyclist 255,0,100; Other Rider 255,0,200; Lane Marking - Crosswalk 200,128,128;
    Lane Marking - General 255,255,255; Mountain 64,170,64; Sand 230,160,50; Sky 70,130,180; Snow 190,255,255;
    Terrain 152,251,152; Vegetation 107,142,35; Water 0,170,30; Banner 255,255,128; Bench 250,0,30;
    Bike Rack 100,140,180; Billboard 220,220,220; Catch Basin 220,128,128; CCTV Camera 222,40,40;
    Fire Hydrant 100,170,30; Junction Box 40,40,40; Mailbox 33,33,33; Manhole 100,128,160; Phone Booth 142,0,0;
    Pothole 70,100,150; Street Light 210,170,100; Pole 153,153,153; Traffic Sign Frame 128,128,128;
    Utility Pole 0,0,80; Traffic Light 250,170,30; Traffic Sign (Back) 192,192,192; Traffic Sign (Front) 220,220,0;
    Trash Can 140,140,20; Bicycle 119,11,32; Boat 150,0,255; Bus 0,60,100; Car 0,0,142; Caravan 0,0,90;
    Motorcycle 0,0,230; On Rails 0,80,100; Other Vehicle 128,64,64; Trailer 0,0,110; Truck 0,0,70;
    Wheeled Slow 0,0,192; Car Mount 32,32,32; Ego Vehicle 120,10,10; Unlabeled -"""
)
"""The 65 classes of config_v1.2.json that are evaluated, of 66."""

MAPILLARY_V20 = _from_0(
    """Bird 165,42,42; Ground Animal 0,192,0; Ambiguous Barrier -; Concrete Block 250,170,32; Curb 196,196,196;
    Fence 190,153,153; Guard Rail 180,165,180; Barrier 90,120,150; Road Median 250,170,33; Road Side 250,170,34;
    Lane Separator 128,128,128; Temporary Barrier 250,170,35; Wall 102,102,156; Bike Lane 128,64,255;
    Crosswalk - Plain 140,140,200; Curb Cut 170,170,170; Driveway 250,170,36; Parking 250,170,160;
    Parking Aisle 250,170,37; Pedestrian Area 96,96,96; Rail Track 230,150,140; Road 128,64,128;
    Road Shoulder 110,110,110; Service Lane 110,110,110; Sidewalk 244,35,232; Traffic Island 128,196,128;
    Bridge 150,100,100; Building 70,70,70; Garage 150,150,150; Tunnel 150,120,90; Person 220,20,60; Person Group -;
    Bicyclist 255,0,0; Motorcyclist 255,0,100; Other Rider 255,0,200; Lane Marking - Dashed Line 255,255,255;
    Lane Marking - Straight Line 255,255,255; Lane Marking - Zigzag Line 250,170,29; Lane Marking - Ambiguous -;
    Lane Marking - Arrow (Left) 250,170,26; Lane Marking - Arrow (Other) 250,170,25;
    Lane Marking - Arrow (Right) 250,170,24; Lane Marking - Arrow (Split Left or Straight) 250,170,22;
    Lane Marking - Arrow (Split Right or Straight) 250,170,21; Lane Marking - Arrow (Straight) 250,170,20;
    Lane Marking - Crosswalk 255,255,255; Lane Marking - Give Way (Row) 250,170,19;
    Lane Marking - Give Way (Single) 250,170,18; Lane Marking - Hatched (Chevron) 250,170,12;
    Lane Marking - Hatched (Diagonal) 250,170,11; Lane Marking - Other 255,255,255;
    Lane Marking - Stop Line 255,255,255; Lane Marking - Symbol (Bicycle) 250,170,16;
    Lane Marking - Symbol (Other) 250,170,15; Lane Marking - Text 250,170,15;
    Lane Marking (only) - Dashed Line 255,255,255; Lane Marking (only) - Crosswalk 255,255,255;
    Lane Marking (only) - Other 255,255,255; Lane Marking (only) - Test 255,255,255; Mountain 64,170,64;
    Sand 230,160,50; Sky 70,130,180; Snow 190,255,255; Terrain 152,251,152; Vegetation 107,142,35; Water 0,170,30;
    Banner 255,255,128; Bench 250,0,30; Bike Rack 100,140,180; Catch Basin 220,128,128; CCTV Camera 222,40,40;
    Fire Hydrant 100,170,30; Junction Box 40,40,40; Mailbox 33,33,33; Manhole 100,128,160; Parking Meter 20,20,255;
    Phone Booth 142,0,0; Pothole 70,100,150; Signage - Advertisement 250,171,30; Signage - Ambiguous -;
    Signage - Back 250,173,30; Signage - Information 250,174,30; Signage - Other 250,175,30; Signage - Store 250,176,30;
    Street Light 210,170,100; Pole 153,153,153; Pole Group -; Traffic Sign Frame 128,128,128; Utility Pole 0,0,80;
    Traffic Cone 210,60,60; Traffic Light - General (Single) 250,170,30; Traffic Light - Pedestrians 250,170,30;
    Traffic Light - General (Upright) 250,170,30; Traffic Light - General (Horizontal) 250,170,30;
    Traffic Light - Cyclists 250,170,30; Traffic Light - Other 250,170,30; Traffic Sign - Ambiguous -;
    Traffic Sign (Back) 192,192,192; Traffic Sign - Direction (Back) 192,192,192;
    Traffic Sign - Direction (Front) 220,220,0; Traffic Sign (Front) 220,220,0; Traffic Sign - Parking 0,0,196;
    Traffic Sign - Temporary (Back) 192,192,192; Traffic Sign - Temporary (Front) 220,220,0; Trash Can 140,140,20;
    Bicycle 119,11,32; Boat 150,0,255; Bus 0,60,100; Car 0,0,142; Caravan 0,0,90; Motorcycle 0,0,230;
    On Rails 0,80,100; Other Vehicle 128,64,64; Trailer 0,0,110; Truck 0,0,70; Vehicle Group -; Wheeled Slow 0,0,192;
    Water Valve 170,170,170; Car Mount 32,32,32; Dynamic 111,74,0; Ego Vehicle 120,10,10; Ground 81,0,81;
    Static 111,111,0; Unlabeled -"""
)
"""The 116 classes of config_v2.0.json that are evaluated, of 124. Several share a colour: only ids tell them apart."""

_MAPILLARY_OF_CITYSCAPES = (
    (13, 7, 8, 10, 14, 23, 24), (15, 2, 9, 11), (17,), (6,), (3,), (45, 44, 47), (48,), (50, 46, 49), (30,), (29,),
    (27,), (19,), (20, 21, 22), (55,), (61,), (54,), (58,), (57,), (52,),
)  # fmt: skip
_MAPPED = {value for ids in _MAPILLARY_OF_CITYSCAPES for value in ids}
MAPILLARY_AS_CITYSCAPES = replace(
    CITYSCAPES, read_label=_ids(_MAPILLARY_OF_CITYSCAPES, tuple(k for k in range(66) if k not in _MAPPED))
)
"""Cityscapes' classes from the ids of v1.2, as openseg.pytorch maps them (also w1oves/Rein, mapillary2cityscape.py).

No map is official. This one takes lane markings, crosswalks, bike and service lanes and parking for road, curbs and
pedestrian areas for sidewalk, street lights for poles, frames and backs of signs for signs, and all riders for riders.
"""
