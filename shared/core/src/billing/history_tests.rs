use carhaul_testkit::StripeShape;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

const AT: i64 = 1_790_000_000;

fn stored(body: &Value) -> StoredEvent {
    StoredEvent {
        id: body["id"].as_str().unwrap().to_owned(),
        r#type: body["type"].as_str().unwrap().to_owned(),
        created_at: DateTime::from_timestamp(body["created"].as_i64().unwrap(), 0).unwrap(),
        data: body["data"].clone(),
    }
}

fn order(events: &[StoredEvent]) -> Vec<String> {
    history::<objects::Subscription>(events).into_iter().map(|snapshot| snapshot.id).collect()
}

/// A subscription, and its events so far. The ids say nothing of the order.
struct Life {
    shape: StripeShape,
    subscription: Value,
    events: Vec<StoredEvent>,
}

impl Life {
    fn new(shape: StripeShape) -> Self {
        let subscription = shape.subscription("sub_1", "cus_1", "price_1", AT);
        let event = shape.event("evt_m", "customer.subscription.created", AT, &subscription);
        Self { shape, events: vec![stored(&event)], subscription }
    }

    fn update(&mut self, id: &str, at: i64, changes: &Value) {
        let kind = "customer.subscription.updated";
        let event = self.shape.update(id, kind, at, &mut self.subscription, changes);
        self.events.push(stored(&event));
    }
}

#[test]
fn events_of_one_second_follow_what_each_says_was_before_it() {
    for shape in StripeShape::ALL {
        let mut life = Life::new(shape);
        life.update("evt_z", AT, &json!({"status": "active"}));
        life.update("evt_b", AT, &json!({"status": "past_due"}));
        life.update("evt_y", AT, &json!({"metadata": {"note": "1"}}));
        life.update("evt_a", AT, &json!({"status": "active"}));
        life.update("evt_x", AT, &json!({"cancel_at_period_end": true}));
        life.events.reverse();
        assert_eq!(order(&life.events), ["evt_m", "evt_z", "evt_b", "evt_y", "evt_a", "evt_x"], "{shape:?}");
    }
}

#[test]
fn created_comes_first_and_deleted_last_in_a_second() {
    let mut life = Life::new(StripeShape::Endive);
    life.update("evt_b", AT, &json!({"status": "active"}));
    life.subscription["status"] = json!("canceled");
    let deleted = life.shape.event("evt_a", "customer.subscription.deleted", AT, &life.subscription);
    life.events.insert(0, stored(&deleted));
    assert_eq!(order(&life.events), ["evt_m", "evt_b", "evt_a"]);
}

#[test]
fn without_a_chain_the_further_progress_comes_later() {
    let shape = StripeShape::Acacia;
    let event = |id: &str, changes: &Value| {
        let mut subscription = shape.subscription("sub_1", "cus_1", "price_1", AT);
        change(&mut subscription, changes);
        stored(&shape.event(id, "customer.subscription.updated", AT, &subscription))
    };
    let events = [
        event("evt_a", &json!({"status": "active", "current_period_end": AT + 9_000_000})),
        event("evt_b", &json!({"status": "past_due"})),
        event("evt_c", &json!({"status": "active"})),
    ];
    assert_eq!(order(&events), ["evt_c", "evt_b", "evt_a"]);
}

fn change(object: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
}

#[test]
fn other_objects_and_what_cannot_be_read_tell_nothing() {
    let mut life = Life::new(StripeShape::Endive);
    let session = life.shape.checkout_session("cs_1", &life.subscription, AT);
    life.events.push(stored(&life.shape.event("evt_c", "checkout.session.completed", AT, &session)));
    life.update("evt_u", AT, &json!({"status": "a state of next year"}));
    assert_eq!(order(&life.events), ["evt_m"]);
}

#[test]
fn a_crowded_second_is_still_put_in_an_order() {
    let mut life = Life::new(StripeShape::Endive);
    for n in 0..=MOST_OF_A_SECOND {
        life.update(&format!("evt_{n:02}"), AT, &json!({"metadata": {"n": n.to_string()}}));
    }
    let mut events = life.events.clone();
    events.reverse();
    assert_eq!(order(&events), order(&life.events));
    assert_eq!(order(&events).len(), MOST_OF_A_SECOND + 2);
}

fn a_change() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec!["active", "past_due", "unpaid", "trialing"]).prop_map(|status| json!({"status": status})),
        any::<bool>().prop_map(|cancel| json!({"cancel_at_period_end": cancel})),
        (0..2_i64).prop_map(|period| json!({"trial_end": AT + period})),
        (0..3_u8).prop_map(|note| json!({"metadata": {"note": note.to_string()}})),
    ]
}

proptest! {
    /// Changes go back and forth within a second: which of two equal moves came first cannot be told and does not matter;
    /// where they lead can.
    #[test]
    fn the_last_state_of_a_second_is_found_whatever_the_order_of_arrival(
        shape in select(StripeShape::ALL.to_vec()),
        changes in proptest::collection::vec(a_change(), 0..7),
        ids in proptest::sample::subsequence((0..1000).collect::<Vec<u32>>(), 7).prop_shuffle(),
        shuffle in any::<u64>(),
    ) {
        let mut life = Life::new(shape);
        for (change, id) in changes.iter().zip(ids) {
            life.update(&format!("evt_{id}"), AT, change);
        }
        // An update that changes nothing makes no event.
        life.events.retain(|event| event.data["previous_attributes"] != json!({}));
        let truth: objects::Subscription = objects::read(&life.subscription).unwrap();
        let mut events = life.events.clone();
        let twins = events.clone();
        events.extend(twins);
        events.sort_by_key(|event| event.id.bytes().fold(shuffle, |h, b| h.rotate_left(7) ^ u64::from(b)));
        let states = history::<objects::Subscription>(&events);
        prop_assert_eq!(states.len(), life.events.len());
        prop_assert_eq!(&states.last().unwrap().object, &truth);
    }
}
