//! Server-sent events: the data of each, whatever way the bytes are cut on the wire.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
//!
//! Only `data` is read: who speaks these three APIs says the rest inside of it, too.

#[derive(Debug, Default)]
pub struct Events {
    /// A line that has not ended yet.
    line: Vec<u8>,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed belongs to the same end.
    after_return: bool,
}

impl Events {
    /// Takes more bytes and returns the events that they end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let is_rest_of_end = byte == b'\n' && std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if is_rest_of_end => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => {
                    self.after_return = false;
                    self.line.push(byte);
                }
            }
        }
        events
    }

    /// The event that the end of the stream ends. Unlike a browser we take it: whether an answer is whole, its own content
    /// says.
    pub fn finish(mut self) -> Option<String> {
        self.end_line().or(self.data)
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        // A byte order mark may stand before the first line.
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut read: Vec<String> = chunks.iter().flat_map(|chunk| events.push(chunk)).collect();
        read.extend(events.finish());
        read
    }

    #[test]
    fn comments_names_ids_and_all_ends_of_lines_are_understood() {
        let stream = ": hello\r\nevent: ping\r\ndata: {\"a\":1}\r\n\r\nid: 7\rdata:b\rdata:  c\r\rdata\n\nretry: 5\n\ndata: last";
        assert_eq!(read(&[stream.as_bytes()]), ["{\"a\":1}", "b\n c", "", "last"]);
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_stream_is_cut(
            texts in prop::collection::vec("[^\r\n]{0,12}", 0..6), end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
            cut in 1_usize..7, open in any::<bool>(),
        ) {
            let mut stream: String =
                texts.iter().map(|text| format!(": ä{end}event: x{end}data: {text}{end}{end}")).collect();
            if open && !texts.is_empty() {
                stream.truncate(stream.len() - 2 * end.len());
            }
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(cut).collect();
            prop_assert_eq!(read(&chunks), texts);
        }
    }
}
