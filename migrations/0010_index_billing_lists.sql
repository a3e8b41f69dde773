-- Invoices and events of a carrier are listed by when they were issued or happened, whatever the order in which they came.
CREATE INDEX billing_invoices_issued_at ON billing_invoices (tenant_id, issued_at DESC, id DESC);
CREATE INDEX billing_events_at ON billing_events (tenant_id, at DESC, id DESC);
