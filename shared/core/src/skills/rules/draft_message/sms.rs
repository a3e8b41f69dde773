//! The alphabet and the length of text messages: GSM 7-bit (3GPP TS 23.038), 160 characters, or 153 in each of several.

const ALONE: usize = 160;
const IN_SEVERAL: usize = 153;

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// These take two places.
const EXTENDED: &str = "^{}\\[~]|€";

/// Letters that the alphabet lacks, with what stands for them.
const LIKE: &[(&str, char)] = &[
    ("áâãāăą", 'a'),
    ("ÁÀÂÃĀ", 'A'),
    ("çćč", 'c'),
    ("ĆČ", 'C'),
    ("êëēėęě", 'e'),
    ("ÈÊËĒ", 'E'),
    ("íîïī", 'i'),
    ("ÍÌÎÏ", 'I'),
    ("óôõō", 'o'),
    ("ÓÒÔÕ", 'O'),
    ("úûū", 'u'),
    ("ÚÙÛ", 'U'),
    ("ýÿ", 'y'),
    ("ł", 'l'),
    ("Ł", 'L'),
    ("śš", 's'),
    ("ŠŚ", 'S'),
    ("źżž", 'z'),
    ("ŻŹŽ", 'Z'),
    ("ńň", 'n'),
    ("‘’`´", '\''),
    ("“”«»", '"'),
    ("–—‐‑", '-'),
    ("\u{a0}\t", ' '),
];

/// In the alphabet of text messages.
pub fn letters(text: &str) -> String {
    let like = |c: char| LIKE.iter().find(|(letters, _)| letters.contains(c)).map_or('?', |(_, letter)| *letter);
    text.chars().map(|c| if width(c).is_some() { c } else { like(c) }).collect()
}

fn width(c: char) -> Option<usize> {
    if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) }
}

/// Places that a text takes.
pub fn length(text: &str) -> usize {
    text.chars().filter_map(width).sum()
}

/// How many messages a text takes. A character of two places is not torn apart.
pub fn segments(text: &str) -> usize {
    if length(text) <= ALONE {
        return 1;
    }
    let (mut segments, mut filled) = (1, 0);
    for width in text.chars().filter_map(width) {
        if filled + width > IN_SEVERAL {
            segments += 1;
            filled = 0;
        }
        filled += width;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_outside_the_alphabet_are_replaced() {
        assert_eq!(letters("Étienne’s café in Łódź – 5€"), "Étienne's café in Lodz - 5€");
        assert_eq!(letters("日"), "?");
    }

    #[test]
    fn long_texts_take_several_messages() {
        assert_eq!(segments(&"a".repeat(160)), 1);
        assert_eq!(segments(&"a".repeat(161)), 2);
        assert_eq!(segments(&"a".repeat(306)), 2);
        assert_eq!(segments(&"€".repeat(81)), 2);
        assert_eq!(segments(&"€".repeat(153)), 3);
    }
}
