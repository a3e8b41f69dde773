//! Short strings with a form of their own: e-mail addresses, states, time zones, currencies.

/// Defines a string type that exists only in valid form: parser, JSON, database and schema in one place.
macro_rules! parsed_string {
    ($(#[$meta:meta])* $name:ident, $parse:expr, description: $description:literal, pattern: $pattern:literal, example: $example:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// A sentence that says what is wrong with it.
            pub fn parse(raw: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<String, String> = $parse;
                parse(raw.trim()).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&<String as serde::Deserialize>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::__dev::ComposeSchema for $name {
            fn compose(
                _: Vec<utoipa::openapi::RefOr<utoipa::openapi::Schema>>,
            ) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .description(Some($description))
                    .pattern(Some($pattern))
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use parsed_string;

fn matching(raw: &str, ok: bool, message: &str) -> Result<String, String> {
    if ok { Ok(raw.to_owned()) } else { Err(message.to_owned()) }
}

fn digits(raw: &str, range: std::ops::RangeInclusive<usize>) -> bool {
    range.contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_digit())
}

parsed_string!(
    /// An address with one `@` and a domain; whether it exists only a mail can tell.
    Email,
    |raw| {
        let ok = raw.len() <= 254
            && raw.is_ascii()
            && !raw.bytes().any(|b| b.is_ascii_control() || b == b' ')
            && raw.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.contains('@') && domain.contains('.') && domain.split('.').all(|l| !l.is_empty())
            });
        matching(raw, ok, "must be an e-mail address")
    },
    description: "E-mail address.",
    pattern: r"^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$",
    example: "dispatch@example.com"
);

parsed_string!(
    /// A state or province, two letters.
    StateCode,
    |raw| matching(
        &raw.to_ascii_uppercase(),
        raw.len() == 2 && raw.bytes().all(|b| b.is_ascii_alphabetic()),
        "must be the two letters of a state or province",
    ),
    description: "State or province, two letters; stored in upper case.",
    pattern: "^[A-Za-z]{2}$",
    example: "KY"
);

parsed_string!(
    /// A postal code of the United States, Canada or Mexico.
    Zip,
    |raw| {
        let ok = (3..=10).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ' || b == b'-');
        matching(&raw.to_ascii_uppercase(), ok, "must be a postal code of 3 to 10 letters and digits")
    },
    description: "Postal code.",
    pattern: "^[A-Za-z0-9][A-Za-z0-9 -]{1,8}[A-Za-z0-9]$",
    example: "40511"
);

parsed_string!(
    /// A time zone of the IANA database.
    TimeZone,
    |raw| matching(raw, raw.parse::<chrono_tz::Tz>().is_ok(), "must be an IANA time zone, such as \"America/New_York\""),
    description: "Time zone of the IANA database.",
    pattern: "^[A-Za-z0-9_+/-]+$",
    example: "America/New_York"
);

parsed_string!(
    /// A currency code of ISO 4217.
    Currency,
    |raw| matching(raw, raw.len() == 3 && raw.bytes().all(|b| b.is_ascii_uppercase()), "must be a currency code, such as \"USD\""),
    description: "Currency code of ISO 4217.",
    pattern: "^[A-Z]{3}$",
    example: "USD"
);

parsed_string!(
    /// A USDOT number.
    UsdotNumber,
    |raw| matching(raw, digits(raw, 1..=8), "must be a USDOT number of 1 to 8 digits"),
    description: "USDOT number.",
    pattern: "^[0-9]{1,8}$",
    example: "1234567"
);

parsed_string!(
    /// A docket number of the FMCSA, without the prefix MC.
    McNumber,
    |raw| matching(raw, digits(raw, 1..=8), "must be an MC number of 1 to 8 digits, without the letters"),
    description: "MC docket number, digits only.",
    pattern: "^[0-9]{1,8}$",
    example: "654321"
);

parsed_string!(
    /// A telephone number as people write it.
    Phone,
    |raw| {
        let ok = raw.len() <= 30
            && raw.bytes().filter(u8::is_ascii_digit).count() >= 7
            && raw.bytes().all(|b| b.is_ascii_digit() || b" +-().x".contains(&b));
        matching(raw, ok, "must be a telephone number with at least 7 digits")
    },
    description: "Telephone number: digits, spaces and + - ( ) . x",
    pattern: r"^[0-9 +().x-]{7,30}$",
    example: "+1 859 555 0134"
);

parsed_string!(
    /// A colour for labels.
    Color,
    |raw| matching(
        &raw.to_ascii_lowercase(),
        raw.len() == 7 && raw.starts_with('#') && raw[1..].bytes().all(|b| b.is_ascii_hexdigit()),
        "must be a colour such as \"#2b8a3e\"",
    ),
    description: "Colour as #rrggbb.",
    pattern: "^#[0-9A-Fa-f]{6}$",
    example: "#2b8a3e"
);

impl TimeZone {
    /// The zone itself. Values come through [`TimeZone::parse`], so an unknown name can only mean that the zone database
    /// of a later release dropped it; UTC is what remains then.
    pub fn tz(&self) -> chrono_tz::Tz {
        self.0.parse().unwrap_or(chrono_tz::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_takes_its_example_and_refuses_what_is_not_one() {
        assert!(Email::parse("dispatch@example.com").is_ok());
        for bad in ["", "a", "a@b", "a@@b.c", "@b.c", "a@b..c", "a b@c.d", "ä@b.c"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(StateCode::parse("ky").map(|s| s.0), Ok("KY".into()));
        assert!(StateCode::parse("Kentucky").is_err());
        assert!(TimeZone::parse("America/Chicago").is_ok());
        assert!(TimeZone::parse("Mars/Base").is_err());
        assert!(Currency::parse("usd").is_err());
        assert!(Phone::parse("(859) 555-0134 x12").is_ok());
        assert!(Phone::parse("call me").is_err());
        assert!(Color::parse("#12345g").is_err());
        assert!(Color::parse("#é1234").is_err());
    }
}
