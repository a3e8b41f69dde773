-- A member goes at once, however many orders they look after: these used to be rewritten one by one, with all their indexes,
-- until the statement ran out of time and the member stayed. Orders say from now on who looked after them, so that whoever
-- takes over finds them. Only members are put on orders, as ever.

ALTER TABLE orders DROP CONSTRAINT orders_dispatcher_id;

CREATE FUNCTION app.check_dispatcher() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- As a foreign key: the member stays until the order is committed.
    PERFORM FROM memberships m WHERE (m.tenant_id, m.user_id) = (NEW.tenant_id, NEW.dispatcher_id) FOR KEY SHARE;
    IF NOT FOUND AND NOT EXISTS (
        SELECT FROM orders o
        WHERE (o.tenant_id, o.id) = (NEW.tenant_id, NEW.split_from) AND o.dispatcher_id = NEW.dispatcher_id
    ) THEN
        RAISE foreign_key_violation USING TABLE = 'orders', CONSTRAINT = 'orders_dispatcher_id',
            MESSAGE = 'the dispatcher is no member of the carrier';
    END IF;
    RETURN NULL;
END
$$;
CALL app.give_to_gate('app.check_dispatcher()');
CREATE TRIGGER check_dispatcher AFTER INSERT ON orders FOR EACH ROW WHEN (NEW.dispatcher_id IS NOT NULL)
    EXECUTE FUNCTION app.check_dispatcher();
CREATE TRIGGER check_dispatcher_again AFTER UPDATE OF dispatcher_id ON orders FOR EACH ROW
    WHEN (NEW.dispatcher_id IS DISTINCT FROM OLD.dispatcher_id AND NEW.dispatcher_id IS NOT NULL)
    EXECUTE FUNCTION app.check_dispatcher();

-- Who was removed does not come back by an invitation that was open.
CREATE FUNCTION app.withdraw_invitations() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM invitations i
    WHERE i.tenant_id = OLD.tenant_id AND i.accepted_at IS NULL AND lower(i.email) = lower(OLD.email);
    RETURN NULL;
END
$$;
CREATE TRIGGER withdraw_invitations AFTER DELETE ON memberships FOR EACH ROW WHEN (OLD.email IS NOT NULL)
    EXECUTE FUNCTION app.withdraw_invitations();

-- Failed credentials count together by address and claimed user. Whoever makes up users has none of them: they count as one.
CREATE FUNCTION app.is_user(p_issuer text, p_subject text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM users u WHERE (u.issuer, u.subject) = (p_issuer, p_subject))
$$;
CALL app.give_to_gate('app.is_user(text, text)');
GRANT EXECUTE ON FUNCTION app.is_user(text, text) TO carhaul_api;

-- What a function reads is what it is for: no model hears of a driver's pay or licence number, and whoever connects enters by
-- their ticket.
REVOKE SELECT ON drivers FROM carhaul_ai;
GRANT SELECT (tenant_id, id, name, licence_expires_on, medical_card_expires_on, twic_expires_on, archived_at) ON drivers TO carhaul_ai;
REVOKE EXECUTE ON FUNCTION app.enter(text, text, text, uuid, uuid) FROM carhaul_realtime;
