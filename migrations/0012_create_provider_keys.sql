-- Keys with which a carrier's executions ask model providers: envelope-encrypted, written over the API and read by the AI
-- worker alone.

CREATE TABLE provider_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('anthropic', 'gemini', 'openai_compatible')),
    -- NULL: where our configuration says that the provider is.
    base_url text,
    -- The key, under a data key that KMS encrypted with the carrier as its context. Ciphertext and row belong together:
    -- under another id, provider or base_url it does not open.
    ciphertext bytea NOT NULL,
    data_key bytea NOT NULL,
    nonce bytea NOT NULL,
    last_four text NOT NULL,
    -- When the provider last said what it thinks of the key, and what that was.
    tested_at timestamptz NOT NULL,
    test_result text NOT NULL CHECK (test_result IN ('accepted', 'refused')),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX provider_keys_provider ON provider_keys (tenant_id, provider);
CALL app.protect('provider_keys');
CREATE TRIGGER touch BEFORE UPDATE ON provider_keys FOR EACH ROW EXECUTE FUNCTION app.touch();
-- Into the audit log alone: keys are for owners and admins, and everybody of the carrier reads the event log.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON provider_keys
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id', '{ciphertext,data_key,nonce}');

-- Who takes keys in never reads them back.
GRANT SELECT (tenant_id, id, provider, base_url, last_four, tested_at, test_result, version, created_at, updated_at)
ON provider_keys TO carhaul_api;
GRANT INSERT, DELETE, UPDATE (base_url, ciphertext, data_key, nonce, last_four, tested_at, test_result, updated_at)
ON provider_keys TO carhaul_api;
-- The worker tells that a provider no longer takes a key.
GRANT SELECT, UPDATE (tested_at, test_result) ON provider_keys TO carhaul_ai;
