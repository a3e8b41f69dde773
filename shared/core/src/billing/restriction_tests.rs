use super::*;

const ZONE: Tz = Tz::America__New_York;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn subscription(status: SubscriptionStatus) -> Subscription {
    Subscription {
        stripe_id: "sub_1".into(),
        customer_id: "cus_1".into(),
        status,
        plan: Some("starter".into()),
        stripe_price_id: Some("price_starter".into()),
        quantity: 1,
        started_at: at("2026-05-01T12:00:00Z"),
        current_period_start_at: None,
        current_period_end_at: None,
        trial_ends_at: None,
        cancel_at: None,
        cancel_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        past_due_since_at: None,
        as_of_at: at("2026-06-01T12:00:00Z"),
    }
}

fn enforced(plan: &str, plan_ends_at: Option<DateTime<Utc>>) -> Enforced<'_> {
    Enforced { plan, plan_ends_at, time_zone: ZONE }
}

#[test]
fn who_has_what_they_pay_for_is_told_nothing() {
    for status in [SubscriptionStatus::Active, SubscriptionStatus::Trialing] {
        assert_eq!(restriction(&subscription(status), enforced("starter", None)), None);
    }
    // A plan that the operator has given counts whatever became of a subscription.
    assert_eq!(restriction(&subscription(SubscriptionStatus::Canceled), enforced("pro", None)), None);
}

#[test]
fn a_missing_payment_is_told_before_and_after_the_plan_ends_in_the_carriers_days() {
    for status in [SubscriptionStatus::PastDue, SubscriptionStatus::Unpaid] {
        // In New York both are still the day before.
        let ends_at = at("2026-06-11T02:00:00Z");
        let owing = Subscription { past_due_since_at: Some(at("2026-06-04T02:00:00Z")), ..subscription(status) };
        let soon = restriction(&owing, enforced("starter", Some(ends_at))).unwrap();
        assert_eq!((soon.reason, soon.effective_at), (RestrictionReason::PaymentOverdue, ends_at));
        assert_eq!(Some(soon.since_at), owing.past_due_since_at);
        for words in ["since 3 June 2026", "starter goes on until 10 June 2026", "only creating more is refused"] {
            assert!(soon.detail.contains(words), "{}", soon.detail);
        }
        let now = restriction(&owing, enforced("free", Some(ends_at))).unwrap();
        assert_eq!((now.reason, now.effective_at), (soon.reason, ends_at));
        assert!(now.detail.contains("starter ended on 10 June 2026"), "{}", now.detail);
    }
}

#[test]
fn each_other_way_to_the_free_plan_has_its_reason() {
    let (trial_end, end) = (at("2026-05-15T12:00:00Z"), at("2026-05-20T12:00:00Z"));
    for (status, reason, since_at) in [
        (SubscriptionStatus::Incomplete, RestrictionReason::PaymentMissing, at("2026-05-01T12:00:00Z")),
        (SubscriptionStatus::IncompleteExpired, RestrictionReason::PaymentMissing, at("2026-05-01T12:00:00Z")),
        (SubscriptionStatus::Paused, RestrictionReason::TrialEnded, trial_end),
        (SubscriptionStatus::Canceled, RestrictionReason::SubscriptionEnded, end),
    ] {
        let over = Subscription { trial_ends_at: Some(trial_end), ended_at: Some(end), ..subscription(status) };
        let told = restriction(&over, enforced("free", None)).unwrap();
        assert_eq!((told.reason, told.since_at, told.effective_at), (reason, since_at, since_at), "{status:?}");
        assert!(told.detail.contains("the limits of the free plan hold"), "{}", told.detail);
    }
    let unknown = Subscription { plan: None, ..subscription(SubscriptionStatus::Active) };
    let told = restriction(&unknown, enforced("free", None)).unwrap();
    assert_eq!((told.reason, told.since_at), (RestrictionReason::PriceUnknown, unknown.started_at));
}
