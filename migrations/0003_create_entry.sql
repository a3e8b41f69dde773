-- How a request enters a tenant. These functions cross tenants, so each is SECURITY DEFINER, owned by carhaul_gate, with
-- a fixed search_path, and returns no more than its caller needs.
--
-- SQLSTATEs for the functions (shared/core/src/platform/db.rs turns them into errors): CH400 Tenant-Id is missing,
-- CH401 the credential is unknown or revoked, CH402 a plan limit, CH403 no membership, CH409 a rule of the data.

-- Sets who and where for this transaction. Not called by functions directly.
CREATE FUNCTION app.set_context(p_tenant uuid, p_user uuid, p_actor uuid, p_driver uuid, p_request uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT set_config('app.tenant_id', coalesce(p_tenant::text, ''), true),
           set_config('app.user_id', coalesce(p_user::text, ''), true),
           set_config('app.actor_id', coalesce(p_actor::text, ''), true),
           set_config('app.driver_id', coalesce(p_driver::text, ''), true),
           set_config('app.request_id', coalesce(p_request::text, ''), true)
$$;
GRANT EXECUTE ON FUNCTION app.set_context(uuid, uuid, uuid, uuid, uuid) TO carhaul_gate;

-- Enters a tenant: checks the membership or API key as it is now and sets the context. `p_kind` is 'user' (issuer and
-- subject of a verified token) or 'api_key' (subject is the key's SHA-256 in hex). A caller with exactly one membership
-- may leave the tenant out.
CREATE FUNCTION app.enter(
    p_kind text, p_issuer text, p_subject text, p_tenant uuid, p_request uuid,
    OUT tenant_id uuid, OUT user_id uuid, OUT actor_id uuid, OUT driver_id uuid, OUT role text, OUT scopes text[],
    OUT plan text, OUT time_zone text, OUT currency text, OUT hide_prices boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    matches integer;
    key record;
BEGIN
    IF p_kind = 'api_key' THEN
        SELECT k.tenant_id, k.id, k.created_by, k.scopes, k.last_used_at INTO key
        FROM api_keys k
        WHERE k.key_hash = p_subject AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
        IF NOT FOUND THEN
            RAISE EXCEPTION 'unknown or revoked API key' USING ERRCODE = 'CH401';
        END IF;
        IF key.tenant_id <> p_tenant THEN
            RAISE EXCEPTION 'the API key belongs to another tenant' USING ERRCODE = 'CH403';
        END IF;
        tenant_id := key.tenant_id; actor_id := key.id; role := 'api_key'; scopes := key.scopes;
        IF key.last_used_at IS NULL OR key.last_used_at < now() - interval '1 hour' THEN
            UPDATE api_keys k SET last_used_at = now() WHERE (k.tenant_id, k.id) = (key.tenant_id, key.id);
        END IF;
    ELSE
        SELECT count(*), (array_agg(m.tenant_id))[1], (array_agg(m.user_id))[1], (array_agg(m.role))[1]
        INTO matches, tenant_id, user_id, role
        FROM users u JOIN memberships m ON m.user_id = u.id
        WHERE u.issuer = p_issuer AND u.subject = p_subject AND (p_tenant IS NULL OR m.tenant_id = p_tenant);
        IF matches = 0 THEN
            RAISE EXCEPTION 'not a member' USING ERRCODE = 'CH403';
        ELSIF matches > 1 THEN
            RAISE EXCEPTION 'member of several tenants' USING ERRCODE = 'CH400';
        END IF;
        actor_id := user_id;
        IF role = 'driver' THEN
            SELECT d.id INTO driver_id FROM drivers d
            WHERE (d.tenant_id, d.user_id) = (enter.tenant_id, enter.user_id);
            driver_id := coalesce(driver_id, '00000000-0000-0000-0000-000000000000');
        END IF;
    END IF;
    SELECT t.plan, t.time_zone, t.currency, role = 'driver' AND NOT t.drivers_see_prices
    INTO plan, time_zone, currency, hide_prices
    FROM tenants t WHERE t.id = tenant_id;
    PERFORM app.set_context(tenant_id, user_id, actor_id, driver_id, p_request);
END
$$;

-- First sign-in creates the user; later ones keep e-mail and name as the issuer says them. Sets the user, no tenant.
CREATE FUNCTION app.sign_in(
    p_issuer text, p_subject text, p_email text, p_name text, p_request uuid,
    OUT user_id uuid, OUT email text, OUT name text, OUT created_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT u.id, u.email, u.name, u.created_at INTO user_id, email, name, created_at
    FROM users u WHERE u.issuer = p_issuer AND u.subject = p_subject;
    IF NOT FOUND OR p_email <> coalesce(email, '') OR p_name <> coalesce(name, '') THEN
        INSERT INTO users AS u (id, issuer, subject, email, name)
        VALUES (app.uuid_v7(), p_issuer, p_subject, p_email, p_name)
        ON CONFLICT (issuer, subject) DO UPDATE
        SET email = coalesce(p_email, u.email), name = coalesce(p_name, u.name)
        RETURNING u.id, u.email, u.name, u.created_at INTO user_id, email, name, created_at;
    END IF;
    PERFORM app.set_context(NULL, user_id, user_id, NULL, p_request);
END
$$;

-- The signed-in user's own carriers.
CREATE FUNCTION app.my_memberships() RETURNS TABLE (tenant_id uuid, tenant_name text, role text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.tenant_id, t.name, m.role, m.created_at
    FROM memberships m JOIN tenants t ON t.id = m.tenant_id
    WHERE m.user_id = app.user_id()
    ORDER BY m.created_at, m.tenant_id
$$;

-- Creates a carrier with the signed-in user as its owner and the lookups every carrier starts with, and enters it. The
-- caller derives the id from user and Idempotency-Key, so that a repeated call finds the carrier it made (false). One
-- person owns at most ten, so that nobody fills the database with carriers; the user's row is locked for the count.
CREATE FUNCTION app.create_tenant(p_id uuid, p_name text, p_usdot text, p_mc_number text, p_time_zone text, p_currency text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    creator uuid := app.user_id();
BEGIN
    INSERT INTO tenants (id, name, usdot, mc_number, time_zone, currency)
    VALUES (p_id, p_name, p_usdot, p_mc_number, p_time_zone, p_currency)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT 1 FROM memberships WHERE (tenant_id, user_id) = (p_id, creator)) THEN
            RAISE EXCEPTION 'not a member' USING ERRCODE = 'CH403';
        END IF;
        PERFORM app.set_context(p_id, creator, creator, NULL, app.request_id());
        RETURN false;
    END IF;
    PERFORM 1 FROM users WHERE id = creator FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM memberships WHERE user_id = creator AND role = 'owner') >= 10 THEN
        RAISE EXCEPTION 'too many carriers' USING ERRCODE = 'CH409', DETAIL = 'too_many_carriers';
    END IF;
    PERFORM app.set_context(p_id, creator, creator, NULL, app.request_id());
    INSERT INTO memberships (tenant_id, user_id, role, name, email)
    SELECT p_id, u.id, 'owner', u.name, u.email FROM users u WHERE u.id = creator;
    INSERT INTO number_sequences (tenant_id, kind) SELECT p_id, unnest(ARRAY['order', 'trip', 'invoice']);
    INSERT INTO cancel_reasons (tenant_id, id, label)
    SELECT p_id, app.uuid_v7(), unnest(ARRAY['Customer cancelled', 'Vehicle not ready', 'Rate not agreed', 'Duplicate order', 'Other']);
    INSERT INTO expense_categories (tenant_id, id, name)
    SELECT p_id, app.uuid_v7(), unnest(ARRAY['Fuel', 'Tolls', 'Repairs', 'Lodging', 'Parking', 'Other']);
    RETURN true;
END
$$;

-- Takes up an invitation for the signed-in user and enters the carrier. `p_email` is the address that the issuer has
-- verified, when the token says one: then it must be the invited one.
CREATE FUNCTION app.accept_invitation(p_token_hash text, p_email text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    invited record;
    joiner uuid := app.user_id();
BEGIN
    SELECT * INTO invited FROM invitations i WHERE i.token_hash = p_token_hash FOR UPDATE;
    IF NOT FOUND OR (invited.accepted_at IS NULL AND invited.expires_at < now())
       OR (invited.accepted_at IS NOT NULL AND invited.accepted_by IS DISTINCT FROM joiner) THEN
        RAISE EXCEPTION 'unknown, used or expired invitation' USING ERRCODE = 'CH404';
    END IF;
    IF lower(p_email) <> lower(invited.email) THEN
        RAISE EXCEPTION 'the invitation is for another address' USING ERRCODE = 'CH403', DETAIL = 'invitation_email';
    END IF;
    PERFORM app.set_context(invited.tenant_id, joiner, joiner, NULL, app.request_id());
    IF invited.accepted_at IS NULL THEN
        INSERT INTO memberships (tenant_id, user_id, role, name, email)
        SELECT invited.tenant_id, u.id, invited.role, u.name, coalesce(u.email, invited.email)
        FROM users u WHERE u.id = joiner
        ON CONFLICT DO NOTHING;
        UPDATE invitations i SET accepted_at = now(), accepted_by = joiner
        WHERE (i.tenant_id, i.id) = (invited.tenant_id, invited.id);
    ELSIF NOT EXISTS (SELECT 1 FROM memberships m WHERE (m.tenant_id, m.user_id) = (invited.tenant_id, joiner)) THEN
        -- Accepted once, removed since: the old invitation does not let anybody back in.
        RAISE EXCEPTION 'unknown, used or expired invitation' USING ERRCODE = 'CH404';
    END IF;
    RETURN invited.tenant_id;
END
$$;

CALL app.give_to_gate('app.enter(text, text, text, uuid, uuid)');
CALL app.give_to_gate('app.sign_in(text, text, text, text, uuid)');
CALL app.give_to_gate('app.my_memberships()');
CALL app.give_to_gate('app.create_tenant(uuid, text, text, text, text, text)');
CALL app.give_to_gate('app.accept_invitation(text, text)');
GRANT EXECUTE ON FUNCTION app.enter(text, text, text, uuid, uuid) TO carhaul_api, carhaul_ai, carhaul_realtime;
GRANT EXECUTE ON FUNCTION
    app.sign_in(text, text, text, text, uuid), app.my_memberships(),
    app.create_tenant(uuid, text, text, text, text, text), app.accept_invitation(text, text)
TO carhaul_api;
