//! The committed API document is what the code says. `make openapi` writes it anew.

#[test]
fn the_committed_document_is_what_the_code_says() {
    let generated = format!("{:#}\n", carhaul_api::openapi::document());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    #[allow(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
    if std::env::var("WRITE_OPENAPI").is_ok() {
        std::fs::write(path, &generated).expect("openapi.json can be written");
    }
    assert!(
        generated == std::fs::read_to_string(path).expect("openapi.json is committed"),
        "openapi.json is not what the code says; run `make openapi` and commit it"
    );
}
