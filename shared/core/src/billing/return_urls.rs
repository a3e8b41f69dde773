//! Where Stripe may send a browser back to: only to our own clients, or our pages would lend their name to anybody's.

use reqwest::Url;

use crate::base::error::Violations;
use crate::platform::config::Environment;

#[derive(Debug, Clone)]
pub struct ReturnUrls {
    /// Empty: any.
    origins: Vec<String>,
    takes_loopback: bool,
}

impl ReturnUrls {
    /// `origins` are those of the browsers that may call.
    pub fn new(origins: &[String], environment: Environment) -> Self {
        let origin = |text: &String| Url::parse(text).map(|url| url.origin().ascii_serialization()).ok();
        Self { origins: origins.iter().filter_map(origin).collect(), takes_loopback: environment == Environment::Local }
    }

    /// Adds what is wrong with a URL to the violations.
    pub fn check(&self, violations: &mut Violations, pointer: &str, url: &str) {
        if let Some(fault) = self.fault(url) {
            violations.add(pointer, fault);
        }
    }

    fn fault(&self, text: &str) -> Option<&'static str> {
        const NOT_HTTPS: &str = "must be a URL that starts with https://";
        // Whatever a browser would read differently from what we read.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = match Url::parse(text) {
            Ok(url) if is_plain => url,
            _ => return Some(NOT_HTTPS),
        };
        let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" => {}
            "http" if self.takes_loopback && is_loopback => {}
            _ => return Some(NOT_HTTPS),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("must have no user name and no password");
        }
        if !self.origins.is_empty() && !self.origins.contains(&url.origin().ascii_serialization()) {
            return Some("must be on an origin that may call this service");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(origins: &[&str], environment: Environment) -> ReturnUrls {
        ReturnUrls::new(&origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>(), environment)
    }

    #[test]
    fn only_the_clients_own_origins_are_returned_to() {
        let urls = urls(&["https://app.example.com", "https://APP.example.com:8443"], Environment::Production);
        for good in [
            "https://app.example.com",
            "https://app.example.com/billing?session={CHECKOUT_SESSION_ID}#top",
            "https://App.Example.com:443/",
            "https://app.example.com:8443/x",
        ] {
            assert_eq!(urls.fault(good), None, "{good}");
        }
        for bad in [
            "",
            "/billing",
            "//app.example.com",
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example",
            "https://user:secret@app.example.com",
            "https://app.example.com:444",
            "https://evil.example/?https://app.example.com",
            "https://evil.example\\.app.example.com",
            "https://app.example.com\\@evil.example",
            "https:\\\\app.example.com",
            "https://app.example.com/\n",
            " https://app.example.com",
            "javascript:alert(1)",
            "data:text/html,https://app.example.com",
            "https://",
            "https://app.example.com/ä",
        ] {
            assert!(urls.fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn without_origins_any_https_will_do_and_plain_http_only_on_this_machine_and_locally() {
        let production = urls(&[], Environment::Production);
        assert_eq!(production.fault("https://anywhere.example/x"), None);
        assert!(production.fault("http://localhost:5173/").is_some());
        let local = urls(&[], Environment::Local);
        for good in ["http://localhost:5173/x", "http://127.0.0.1/", "http://[::1]:3000/", "https://anywhere.example"] {
            assert_eq!(local.fault(good), None, "{good}");
        }
        for bad in ["http://anywhere.example/", "http://localhost.evil.example/", "http://localhost@evil.example/"] {
            assert!(local.fault(bad).is_some(), "{bad}");
        }
        let other = urls(&["http://localhost:5173"], Environment::Local);
        assert_eq!(other.fault("http://localhost:5173/x"), None);
        assert!(other.fault("http://localhost:3000/x").is_some());
    }
}
