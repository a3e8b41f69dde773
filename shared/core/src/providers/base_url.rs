//! The address of an API that a tenant gives us: ours to call, so never one inside of our own network.

use std::net::IpAddr;

use reqwest::Url;

use super::public_addresses::is_public;
use crate::base::strings::parsed_string;

parsed_string!(
    /// Where an API is. That it is a URL says nothing of where it leads: see [`BaseUrl::require_public`].
    BaseUrl,
    |raw| {
        const FORM: &str = "must be a URL such as https://models.example.com/v1, without a user, a query or a fragment";
        let url = Url::parse(raw).ok().filter(|_| raw.len() <= 500 && !raw.bytes().any(|b| b.is_ascii_control()));
        let url = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let url = url.filter(|url| url.query().is_none() && url.fragment().is_none()).ok_or(FORM)?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    },
    description: "Where an OpenAI-compatible API is, up to what comes before /chat/completions.",
    pattern: "^https?://[^\\s?#@]+$",
    example: "https://models.example.com/v1"
);

impl BaseUrl {
    /// Whether it may be asked as far as it can be told without looking its name up; the client that asks looks at what the
    /// name leads to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn require_public(&self) -> Result<(), &'static str> {
        let url = Url::parse(&self.0).map_err(|_| "must be a URL")?;
        if url.scheme() != "https" {
            return Err("must start with https://");
        }
        // Our network lets no other out.
        if url.port().is_some() {
            return Err("must be at port 443");
        }
        let host = url.host_str().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if address.is_some_and(|address| !is_public(address)) || is_local(host) {
            return Err("must lead to a public address");
        }
        Ok(())
    }
}

/// Names that lead nowhere public: those of this machine, and those without a domain.
fn is_local(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let ends = [".localhost", ".local", ".internal", ".home.arpa"];
    !(name.contains('.') || name.contains(':')) || ends.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_its_last_slash() {
        let parsed = |raw| BaseUrl::parse(raw).map(|url| url.0);
        assert_eq!(parsed("https://Models.example.com/v1/"), Ok("https://models.example.com/v1".into()));
        assert_eq!(parsed("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".into()));
        for bad in [
            "",
            "models.example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "https://u@example.com",
            "https://u:p@example.com/v1",
            "https://example.com/v1?key=1",
            "https://example.com/v1#x",
            "data:text/plain,x",
            "https://example.com/\nx",
            "javascript:alert(1)",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_leads_into_a_network_of_ours_is_refused() {
        for good in ["https://models.example.com/v1", "https://8.8.8.8/v1", "https://[2606:4700::1111]"] {
            assert_eq!(BaseUrl::parse(good).unwrap().require_public(), Ok(()), "{good}");
        }
        for bad in [
            "http://models.example.com",
            "https://models.example.com:8443",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://0.0.0.0",
            "https://10.42.0.1",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://169.254.100.1:9001",
            "https://100.64.0.1",
            "https://[::1]",
            "https://[::]",
            "https://[::ffff:10.0.0.1]",
            "https://[::ffff:169.254.169.254]",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://[64:ff9b::a00:1]",
            "https://[2002:a00:1::]",
            "https://localhost",
            "https://LOCALHOST.",
            "https://a.localhost",
            "https://db.internal",
            "https://intranet",
            "https://224.0.0.1",
            "https://255.255.255.255",
            "https://192.0.2.1",
            "https://198.18.0.1",
        ] {
            assert!(BaseUrl::parse(bad).unwrap().require_public().is_err(), "{bad}");
        }
    }
}
