//! What vehicles are called: makes, colours, bodies.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::source::{clean, is_listed, is_space, pattern};
use crate::orders::VehicleType;

const MAKES: &str = "\
    Acura, Alfa Romeo, Aston Martin, Audi, Bentley, BMW, Buick, Cadillac, Chevrolet, Chrysler, Datsun, Dodge, \
    Ducati, Ferrari, Fiat, Ford, Freightliner, Genesis, GMC, Harley-Davidson, Hino, Honda, Hummer, Hyundai, Indian, \
    Infiniti, International, Isuzu, Jaguar, Jeep, John Deere, Kawasaki, Kenworth, Kia, KTM, Kubota, Lamborghini, \
    Land Rover, Lexus, Lincoln, Lotus, Lucid, Mack, Maserati, Mazda, McLaren, Mercedes-Benz, Mercury, Mini, \
    Mitsubishi, Nissan, Oldsmobile, Peterbilt, Plymouth, Polaris, Polestar, Pontiac, Porsche, Ram, Rivian, \
    Rolls-Royce, Saab, Saturn, Scion, Smart, Sterling, Subaru, Suzuki, Tesla, Toyota, Triumph, Vespa, Volkswagen, \
    Volvo, Yamaha, Can-Am, Winnebago, Airstream, Western Star";

/// Other ways to write them.
const ALIASES: &[(&str, &str)] = &[
    ("caddy", "Cadillac"),
    ("chevy", "Chevrolet"),
    ("chev", "Chevrolet"),
    ("harley davidson", "Harley-Davidson"),
    ("harley", "Harley-Davidson"),
    ("mercedes benz", "Mercedes-Benz"),
    ("mercedes", "Mercedes-Benz"),
    ("range rover", "Land Rover"),
    ("rolls royce", "Rolls-Royce"),
    ("vw", "Volkswagen"),
];

fn written() -> impl Iterator<Item = (String, &'static str)> {
    let plain = MAKES.split(", ").map(|make| (make.to_lowercase(), make));
    plain.chain(ALIASES.iter().map(|(alias, make)| ((*alias).to_owned(), *make)))
}

static BY_NAME: LazyLock<HashMap<String, &str>> = LazyLock::new(|| written().collect());

/// The name of a make on an order.
pub fn make(written: &str) -> Option<&'static str> {
    BY_NAME.get(&clean(written).to_lowercase()).copied()
}

/// All makes as alternatives of a pattern, longer ones first.
pub static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let mut makes: Vec<_> = written().map(|(raw, _)| raw).collect();
    makes.sort_by_key(|make| std::cmp::Reverse(make.len()));
    makes.join("|")
});

/// The makes that a text names, as they are called on an order.
pub fn named(text: &str) -> impl Iterator<Item = &'static str> {
    static MAKE: LazyLock<Regex> = LazyLock::new(|| pattern(format!(r"(?i)\b(?:{})\b", *PATTERN)));
    MAKE.find_iter(text).filter_map(|found| make(found.as_str()))
}

const COLORS: &str = "\
    white black silver gray grey red blue green gold tan beige brown maroon yellow orange purple burgundy charcoal \
    pearl bronze champagne navy teal copper pink cream turquoise graphite gunmetal";

pub fn is_color(word: &str) -> bool {
    is_listed(COLORS, &word.to_lowercase())
}

/// Up to three words of which the last is a colour: "marina blue".
pub fn ends_in_color(text: &str) -> bool {
    let words: Vec<_> = text.split_whitespace().collect();
    let plain = |word: &&str| word.chars().all(|c| c.is_alphabetic() || c == '-');
    (1..=3).contains(&words.len()) && words.iter().all(plain) && words.last().is_some_and(|word| is_color(word))
}

/// Whether a quote says so, as far as it names a kind; "pickup" may also be where it is fetched.
pub fn may_be_type(kind: VehicleType, quote: &str) -> bool {
    let known: Vec<_> = quote.split(is_space).filter_map(vehicle_type).collect();
    known.contains(&kind) || known.iter().all(|&known| known == VehicleType::Pickup)
}

pub fn vehicle_type(word: &str) -> Option<VehicleType> {
    Some(match word.to_lowercase().trim_matches(|c: char| !c.is_alphanumeric()) {
        "sedan" | "hatchback" => VehicleType::Sedan,
        "coupe" => VehicleType::Coupe,
        "suv" | "crossover" => VehicleType::Suv,
        "pickup" | "pick-up" => VehicleType::Pickup,
        "van" | "minivan" => VehicleType::Van,
        "convertible" => VehicleType::Convertible,
        "wagon" => VehicleType::Wagon,
        "motorcycle" => VehicleType::Motorcycle,
        "atv" | "utv" => VehicleType::Atv,
        "boat" => VehicleType::Boat,
        "rv" | "motorhome" => VehicleType::Rv,
        _ => return None,
    })
}
