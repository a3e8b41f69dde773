//! What serde says of a bad value, in words for whoever wrote the client: without the names of our types and of Rust's.

/// The member that serde says is missing.
pub fn missing(message: &str) -> Option<&str> {
    named(message, "missing field `")
}

/// The member that serde does not know.
pub fn unknown(message: &str) -> Option<&str> {
    named(message, "unknown field `")
}

/// The parameter that is there twice.
pub fn duplicate(message: &str) -> Option<&str> {
    named(message, "duplicate field `")
}

fn named<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

/// The message as a sentence. What our own types say is one already.
pub fn sentence(message: &str) -> String {
    if missing(message).is_some() {
        return "is required".to_owned();
    }
    if duplicate(message).is_some() {
        return "must be given once".to_owned();
    }
    // A name has backquotes around it, and what was sent may have some of its own.
    let (sent, words) = message.split_once("`, ").unwrap_or((message, ""));
    let words: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
    if sent.starts_with("unknown variant ") {
        return match words.as_slice() {
            [] => "is not one of the words that there are".to_owned(),
            [only] => format!("must be {only}"),
            several => format!("must be one of {}", several.join(", ")),
        };
    }
    if sent.starts_with("unknown field ") {
        return match words.as_slice() {
            [] => "is unknown: nothing is taken here".to_owned(),
            known => format!("is unknown; known are {}", known.join(", ")),
        };
    }
    for start in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((_, expected)) = message.strip_prefix(start).and_then(|it| it.rsplit_once(", expected ")) {
            return must_be(expected, start == "invalid value: ");
        }
    }
    match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number".to_owned()
        }
        "number too large to fit in target type" => "is too large".to_owned(),
        "number too small to fit in target type" => "is too small".to_owned(),
        "provided string was not `true` or `false`" => must_be("a boolean", false),
        _ if message.starts_with("UUID parsing failed") => must_be("a formatted UUID string", false),
        _ => message.to_owned(),
    }
}

fn must_be(expected: &str, out_of_range: bool) -> String {
    let range = |least: i64, most: u64| match out_of_range {
        true => format!("must be a whole number from {least} to {most}"),
        false => "must be a whole number".to_owned(),
    };
    let what = match expected {
        "i8" => return range(i8::MIN.into(), 127),
        "i16" => return range(i16::MIN.into(), 32_767),
        "i32" => return range(i32::MIN.into(), 2_147_483_647),
        "i64" | "isize" => return range(i64::MIN, i64::MAX.unsigned_abs()),
        "u8" => return range(0, u8::MAX.into()),
        "u16" => return range(0, u16::MAX.into()),
        "u32" => return range(0, u32::MAX.into()),
        "u64" | "usize" => return range(0, u64::MAX),
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "str" | "a character" | "string or map" => "text",
        "a formatted UUID string" => "a UUID",
        "a sequence" | "a set" => "an array",
        "a map" | "map with a single key" => "an object",
        _ if ["struct ", "internally tagged enum ", "struct variant "].iter().any(|it| expected.starts_with(it)) => {
            "an object"
        }
        _ if expected.starts_with("tuple") => "an array",
        // The words of our own types.
        _ if ["a ", "an "].iter().any(|it| expected.starts_with(it)) => expected,
        _ => return "has the wrong type".to_owned(),
    };
    format!("must be {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_becomes_a_sentence() {
        for (message, expected) in [
            ("invalid type: string \"x, expected y\", expected i16", "must be a whole number"),
            ("invalid value: integer `40000`, expected i16", "must be a whole number from -32768 to 32767"),
            ("invalid type: integer `1`, expected a whole number from 1 to 5", "must be a whole number from 1 to 5"),
            ("invalid type: null, expected a boolean", "must be true or false"),
            ("invalid type: integer `5`, expected a string", "must be text"),
            ("invalid type: string \"\", expected struct NewOrder", "must be an object"),
            ("invalid type: map, expected a sequence", "must be an array"),
            ("unknown variant `x`, expected one of `new`, `old`, `odd`", "must be one of new, old, odd"),
            ("unknown variant `x`, expected `new` or `old`", "must be one of new, old"),
            ("unknown variant `x`, expected `new`", "must be new"),
            ("unknown field `x`, expected one of `a`, `b`, `c`", "is unknown; known are a, b, c"),
            ("unknown field `x`, there are no fields", "is unknown: nothing is taken here"),
            ("missing field `x`", "is required"),
            ("UUID parsing failed: invalid length", "must be a UUID"),
            ("must not be empty", "must not be empty"),
        ] {
            assert_eq!(sentence(message), expected, "{message}");
        }
    }
}
