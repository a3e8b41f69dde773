"""What the demo carriers consist of: real cities, made-up addresses, vehicles with valid VIN check digits.

Everything is derived from fixed lists and a day, so that a seeding which was interrupted repeats exactly what it said before.
"""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

CARRIER = {"name": "Bluegrass Auto Transport", "usdot": "1234567", "mc_number": "765432", "time_zone": "America/New_York"}
RIVAL = {"name": "Sunbelt Car Haulers", "usdot": "7654321", "mc_number": "234567", "time_zone": "America/Chicago"}

CUSTOMERS = [
    ("broker", "Midland Plains Brokers", "Chicago", "IL", "60607"),
    ("broker", "Gulf Coast Auto Logistics", "Houston", "TX", "77002"),
    ("broker", "Piedmont Vehicle Brokers", "Charlotte", "NC", "28202"),
    ("dealer", "Queen City Motors", "Cincinnati", "OH", "45202"),
    ("dealer", "Peachtree Imports", "Atlanta", "GA", "30303"),
    ("auction", "Nashville Auto Auction", "Nashville", "TN", "37210"),
    ("auction", "Keystone Dealer Exchange", "Harrisburg", "PA", "17101"),
    ("private", "Private customer, Louisville", "Louisville", "KY", "40202"),
]

# type, name, address, city, state, zip, time zone
LOCATIONS = [
    ("auction", "Nashville Auto Auction, lot B", "1450 Foster Ave", "Nashville", "TN", "37210", "America/Chicago"),
    ("auction", "Keystone Dealer Exchange", "900 Paxton St", "Harrisburg", "PA", "17101", "America/New_York"),
    ("auction", "Lone Star Auto Auction", "3800 Irving Blvd", "Dallas", "TX", "75247", "America/Chicago"),
    ("dealer", "Queen City Motors", "210 Reading Rd", "Cincinnati", "OH", "45202", "America/New_York"),
    ("dealer", "Peachtree Imports", "77 Piedmont Ave", "Atlanta", "GA", "30303", "America/New_York"),
    ("dealer", "Lakefront Chevrolet", "1200 Lake St", "Chicago", "IL", "60607", "America/Chicago"),
    ("port", "Port of Jacksonville, Blount Island", "9620 Dave Rawls Blvd", "Jacksonville", "FL", "32226", "America/New_York"),
    ("port", "Port of Baltimore, Dundalk", "2700 Broening Hwy", "Baltimore", "MD", "21222", "America/New_York"),
    ("terminal", "Bluegrass terminal", "500 Industrial Rd", "Lexington", "KY", "40505", "America/New_York"),
    ("business", "Mile High Fleet Services", "4100 Brighton Blvd", "Denver", "CO", "80216", "America/Denver"),
    ("business", "Desert Fleet Remarketing", "2300 Buckeye Rd", "Phoenix", "AZ", "85009", "America/Phoenix"),
    ("residence", "Residence, Cherokee Park", "18 Willow Ave", "Louisville", "KY", "40204", "America/New_York"),
]

TRUCKS = [("101", "Peterbilt", "389", 2022, 1), ("102", "Kenworth", "T880", 2021, 1), ("103", "Ram", "3500", 2023, 0)]
TRAILERS = [("T1", "Cottrell", "CX-09", 2022, 8, False), ("T2", "Sun Country", "HR-8", 2020, 8, False),
            ("T3", "Kentucky", "Enclosed 6", 2021, 6, True)]
DRIVERS = [("Jordan Ellis", "percent", "27.5"), ("Casey Morgan", "per_mile", "0.62"), ("Riley Brooks", "flat", "350"),
           ("Taylor Reed", "per_vehicle", "85")]
# The third driver signs in as the demo user `driver`.
SIGNED_IN_DRIVER = 2

# WMI and VDS, model years of position 10, make, model, type, pounds
MODELS = [
    ("1G1ZD5ST", "Chevrolet", "Malibu", "sedan", 3200), ("1FTFW1E5", "Ford", "F-150", "pickup", 4700),
    ("5YJ3E1EA", "Tesla", "Model 3", "sedan", 3900), ("4T1B11HK", "Toyota", "Camry", "sedan", 3400),
    ("1C4RJFBG", "Jeep", "Grand Cherokee", "suv", 4800), ("2HGFC2F5", "Honda", "Civic", "sedan", 2900),
    ("WBA8E9G5", "BMW", "330i", "sedan", 3600), ("5N1AT2MV", "Nissan", "Rogue", "suv", 3500),
    ("1FATP8UH", "Ford", "Mustang", "coupe", 3700), ("2C4RC1BG", "Chrysler", "Pacifica", "van", 4400),
]
YEARS = {"H": 2017, "J": 2018, "K": 2019, "L": 2020, "M": 2021, "N": 2022, "P": 2023, "R": 2024}
COLOURS = ["White", "Black", "Silver", "Gray", "Blue", "Red"]
TERMS = [("ach", "days_30"), ("ach", "days_15"), ("company_check", "days_30"), ("comchek", "days_5"), ("cash", "on_delivery"),
         ("certified_funds", "on_delivery"), ("cash", "on_pickup")]

WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
VALUES = dict(zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", [*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)]))


def vin(vehicle, year_code, serial):
    """A VIN with the check digit of 49 CFR 565.15 in position 9."""
    plain = f"{vehicle}0{year_code}A{serial:06d}"
    remainder = sum(VALUES[character] * weight for character, weight in zip(plain, WEIGHTS)) % 11
    return plain[:8] + ("X" if remainder == 10 else str(remainder)) + plain[9:]


def vehicles(dice, serial):
    """One to four vehicles, some of which do not run."""
    chosen = []
    for place in range(dice.choice((1, 1, 2, 2, 3, 4))):
        prefix, make, model, kind, pounds = dice.choice(MODELS)
        code, year = dice.choice(list(YEARS.items()))
        vehicle = {"vin": vin(prefix, code, serial + place), "year": year, "make": make, "model": model, "type": kind,
                   "color": dice.choice(COLOURS), "weight_lbs": pounds, "price": f"{dice.randrange(35, 110) * 10}.00"}
        if dice.random() < 0.3:
            vehicle["lot_number"] = str(dice.randrange(100000, 999999))
        if dice.random() < 0.12:
            vehicle |= {"is_inoperable": True, "inoperable_flags": [dice.choice(("does_not_run", "no_keys", "flat_tire"))]}
        chosen.append(vehicle)
    return chosen


def window(day, offset, zone, hour):
    """Eight hours of a day at the stop's own place, in UTC."""
    begin = datetime.combine(day + timedelta(days=offset), time(hour), ZoneInfo(zone))
    return {"from": _utc(begin), "to": _utc(begin + timedelta(hours=8))}


def dice(seed):
    return random.Random(seed)


def _utc(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
