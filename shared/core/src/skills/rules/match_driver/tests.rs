use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::error::Error;
use crate::hauling::{BlockerCode, CautionCode};

fn id(number: u128) -> Value {
    json!(uuid::Uuid::from_u128(number))
}

fn order(vehicles: usize) -> Value {
    let stop = |city: &str, state: &str, zip: &str, day: &str| {
        json!({
            "place": {"city": city, "state": state, "zip": zip},
            "from": format!("{day}T13:00:00Z"), "to": format!("{day}T22:00:00Z"), "last_day": day, "twic_required": false,
        })
    };
    json!({
        "id": id(100), "number": 7, "customer_id": id(200), "transport_type": "open",
        "pickup": stop("Lexington", "KY", "40511", "2026-11-23"),
        "delivery": stop("Knoxville", "TN", "37920", "2026-11-25"),
        "vehicles": vec![json!({"weight_lbs": 4000, "is_inoperable": false}); vehicles],
    })
}

fn driver(number: u128) -> Value {
    json!({
        "id": id(number), "name": format!("Driver {number}"), "archived": false,
        "licence_expires_on": "2028-01-01", "medical_card_expires_on": "2028-01-01",
        "truck": {"unit_number": "T1", "capacity": 0, "max_weight_lbs": null, "enclosed": false},
        "trailer": {"unit_number": "R1", "capacity": 4, "max_weight_lbs": 20000, "enclosed": false},
        "assignments": [], "delivered_for_customer": 0,
    })
}

fn assignment(status: &str, from: &str, to: &str, place: (&str, &str, &str), vehicles: usize) -> Value {
    json!({
        "order_id": id(300), "number": 6, "status": status, "pickup_from": from, "delivery_to": to,
        "delivery": {"city": place.0, "state": place.1, "zip": place.2},
        "vehicles": vec![json!({"weight_lbs": 4000, "is_inoperable": false}); vehicles],
    })
}

fn with(mut value: Value, changes: &Value) -> Value {
    for (pointer, change) in changes.as_object().unwrap() {
        *value.pointer_mut(pointer).unwrap() = change.clone();
    }
    value
}

fn ranked(order: Value, drivers: Vec<Value>) -> Vec<Ranked> {
    rank(&serde_json::from_value(json!({"orders": [order], "drivers": drivers})).unwrap()).unwrap().drivers
}

fn blockers(order: Value, driver: Value) -> Vec<BlockerCode> {
    ranked(order, vec![driver])[0].blockers.iter().map(|blocker| blocker.code).collect()
}

#[test]
fn each_hard_rule_blocks() {
    use BlockerCode::*;
    let busy = assignment("assigned", "2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z", ("Macon", "GA", "31216"), 4);
    for (order_changes, driver_changes, blocker) in [
        (json!({}), json!({"/archived": true}), DriverArchived),
        (json!({}), json!({"/licence_expires_on": "2026-11-24"}), LicenceExpires),
        (json!({}), json!({"/medical_card_expires_on": "2026-11-24"}), MedicalCardExpires),
        (json!({}), json!({"/trailer/capacity": 1}), Capacity),
        (json!({}), json!({"/trailer/max_weight_lbs": 7999}), Weight),
        (json!({"/transport_type": "enclosed"}), json!({}), EnclosedNeeded),
        (json!({}), json!({"/assignments": [busy], "/trailer/max_weight_lbs": 60000}), OverlappingAssignment),
        (json!({"/transport_type": "driveaway"}), json!({}), Capacity),
    ] {
        let found = blockers(with(order(2), &order_changes), with(driver(1), &driver_changes));
        assert_eq!(found, [blocker], "{order_changes} {driver_changes}");
    }
    let driveaway = with(order(1), &json!({"/transport_type": "driveaway", "/vehicles/0/is_inoperable": true}));
    assert_eq!(blockers(driveaway, driver(1)), [NotDrivable]);
}

#[test]
fn what_just_fits_is_not_blocked() {
    let beside = assignment("assigned", "2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z", ("Macon", "GA", "31216"), 2);
    let over = assignment("delivered", "2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z", ("Macon", "GA", "31216"), 4);
    for changes in [
        json!({"/licence_expires_on": "2026-11-25"}),
        json!({"/trailer/capacity": 2}),
        json!({"/trailer/max_weight_lbs": 8000}),
        json!({"/assignments": [beside]}),
        json!({"/assignments": [over]}),
        json!({"/truck": null}),
    ] {
        assert_eq!(blockers(order(2), with(driver(1), &changes)), [], "{changes}");
    }
}

#[test]
fn what_no_record_tells_is_a_caution() {
    use CautionCode::*;
    let order = with(
        order(1),
        &json!({"/vehicles/0/is_inoperable": true, "/delivery/twic_required": true, "/vehicles/0/weight_lbs": null}),
    );
    let nothing =
        json!({"/licence_expires_on": null, "/medical_card_expires_on": null, "/truck": null, "/trailer": null});
    let cautions = |driver| {
        let ranked = ranked(order.clone(), vec![driver]);
        assert_eq!(ranked[0].blockers, []);
        ranked[0].cautions.iter().map(|caution| caution.code).collect::<Vec<_>>()
    };
    assert_eq!(cautions(driver(1)), [WeightNotKnown, WinchNeeded, TwicNeeded]);
    let unknown = with(driver(1), &nothing);
    assert_eq!(
        cautions(unknown),
        [LicenceNotRecorded, MedicalCardNotRecorded, EquipmentNotKnown, WinchNeeded, TwicNeeded]
    );
}

#[test]
fn what_is_on_record_need_not_be_asked_and_what_is_on_hold_is_told() {
    use CautionCode::*;
    let mut order = with(order(2), &json!({"/vehicles/0/is_inoperable": true, "/delivery/twic_required": true}));
    order["vehicles"][1]["on_hold"] = json!(true);
    let cautions = |winch: Value, twic: Value| {
        let mut driver = driver(1);
        driver["trailer"]["has_winch"] = winch;
        driver["twic_expires_on"] = twic;
        let ranked = ranked(order.clone(), vec![driver]);
        assert_eq!(ranked[0].blockers, [], "it keeps its slot and blocks nobody");
        ranked[0].cautions.iter().map(|caution| caution.code).collect::<Vec<_>>()
    };
    assert_eq!(cautions(json!(true), json!("2026-11-25")), [VehicleOnHold]);
    assert_eq!(cautions(json!(false), json!("2026-11-24")), [WinchNeeded, TwicNeeded, VehicleOnHold]);
    assert_eq!(cautions(json!(null), json!(null)), [WinchNeeded, TwicNeeded, VehicleOnHold]);
}

#[test]
fn the_nearer_the_last_delivery_the_better() {
    let after = |number: u128, place| {
        let last = assignment("delivered", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z", place, 1);
        with(driver(number), &json!({"/assignments": [last]}))
    };
    let drivers = vec![
        after(1, ("Boise", "ID", "83705")),
        after(2, ("Dayton", "OH", "45402")),
        after(3, ("Louisville", "KY", "40202")),
        after(4, ("Georgetown", "KY", "40524")),
        after(5, ("LEXINGTON", "KY", "40502")),
    ];
    let ranked = ranked(order(1), drivers);
    assert_eq!(
        ranked.iter().map(|driver| driver.name.as_str()).collect::<Vec<_>>(),
        ["Driver 5", "Driver 4", "Driver 3", "Driver 2", "Driver 1"]
    );
    let nearness: Vec<_> = ranked.iter().map(|driver| driver.factors[0].points).collect();
    assert_eq!(nearness, [45, 40, 30, 15, 0]);
    assert_eq!(ranked[0].factors[0].detail, "order 6 ends in LEXINGTON, KY, where this one begins");
}

#[test]
fn who_has_less_to_haul_and_knows_the_customer_comes_first() {
    let busy = assignment("assigned", "2026-12-01T00:00:00Z", "2026-12-03T00:00:00Z", ("Macon", "GA", "31216"), 3);
    let drivers = vec![
        with(driver(1), &json!({"/assignments": [busy]})),
        driver(2),
        with(driver(3), &json!({"/delivered_for_customer": 2})),
    ];
    let ranked = ranked(order(1), drivers);
    assert_eq!(
        ranked.iter().map(|driver| driver.name.as_str()).collect::<Vec<_>>(),
        ["Driver 3", "Driver 2", "Driver 1"]
    );
    assert_eq!(ranked.iter().map(|driver| driver.rank).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn who_cannot_stands_last_and_scores_nothing() {
    let ranked =
        ranked(order(1), vec![with(driver(1), &json!({"/archived": true, "/delivered_for_customer": 9})), driver(2)]);
    assert_eq!((ranked[0].name.as_str(), ranked[1].score), ("Driver 2", 0));
}

#[test]
fn a_model_orders_those_who_can_and_cannot_make_anybody_able() {
    let unable = with(driver(2), &json!({"/licence_expires_on": "2020-01-01"}));
    let input: Input =
        serde_json::from_value(json!({"orders": [order(1)], "drivers": [driver(1), unable, driver(3)]})).unwrap();
    let factor = |code: &str, points: u32, of: u32| json!({"code": code, "points": points, "of": of, "detail": "near"});
    let ranked = |number: u128, score: u32, factors: Vec<Value>| json!({"driver_id": id(number), "name": "Kim", "rank": 1, "score": score, "factors": factors, "blockers": [], "cautions": []});
    let admit =
        |drivers: Vec<Value>| guard::admit(&input, serde_json::from_value(json!({"drivers": drivers})).unwrap());
    let admitted = admit(vec![
        ranked(2, 100, vec![factor("nearness", 1, 100)]),
        ranked(3, 100, vec![factor("balance", 9, 9), factor("fill", 1, 1)]),
        ranked(1, 77, Vec::new()),
    ])
    .unwrap()
    .drivers;
    let known = rank(&input).unwrap().drivers;
    assert_eq!(
        admitted.iter().map(|it| (it.driver_id, it.rank, it.score)).collect::<Vec<_>>(),
        [(known[0].driver_id, 1, 77), (known[1].driver_id, 2, 10), (known[2].driver_id, 3, 0)]
    );
    assert_eq!((&admitted[2].blockers, &*admitted[2].name), (&known[2].blockers, "Driver 2"));
    assert!(admitted[1].factors[0].of > 9, "weights are the rules'");
    for (bad, pointer) in [
        (vec![ranked(9, 1, Vec::new())], "/drivers/0/driver_id"),
        (vec![ranked(1, 1, Vec::new()), ranked(1, 2, Vec::new())], "/drivers/1/driver_id"),
        (vec![ranked(1, 1, vec![factor("fill", 101, 101)])], "/drivers/0/factors/0/points"),
        (vec![ranked(1, 1, vec![factor("fill", 1, 1), factor("fill", 1, 1)])], "/drivers/0/factors/1/code"),
    ] {
        let Err(Error::Invalid(fields)) = admit(bad) else { panic!("{pointer}") };
        assert_eq!(fields[0].pointer, pointer);
    }
}

#[test]
fn no_order_an_empty_one_and_a_reversed_one_are_refused() {
    for (orders, pointer) in [
        (json!([]), "/orders"),
        (json!([order(0)]), "/orders/0/vehicles"),
        (json!([with(order(1), &json!({"/delivery/to": "2026-11-01T00:00:00Z"}))]), "/orders/0/delivery/to"),
    ] {
        let input = serde_json::from_value(json!({"orders": orders, "drivers": []})).unwrap();
        let Err(Error::Invalid(fields)) = rank(&input) else { panic!("{pointer}") };
        assert_eq!(fields[0].pointer, pointer);
    }
}

proptest! {
    #[test]
    fn the_ranking_does_not_depend_on_the_order_of_the_candidates(
        drivers in proptest::collection::vec((0_u32..4, 0_i16..5, any::<bool>()), 1..8),
        turn in 0_usize..8,
    ) {
        let mut drivers: Vec<_> = drivers
            .into_iter()
            .zip(1..)
            .map(|((times, capacity, archived), number)| {
                let changes = json!({"/delivered_for_customer": times, "/trailer/capacity": capacity, "/archived": archived});
                with(driver(number), &changes)
            })
            .collect();
        let first = ranked(order(2), drivers.clone());
        let count = drivers.len();
        drivers.rotate_left(turn % count);
        prop_assert_eq!(&first, &ranked(order(2), drivers));
        prop_assert!(first.iter().all(|driver| driver.score <= 100));
        let keys: Vec<_> = first.iter().map(|d| (!d.blockers.is_empty(), std::cmp::Reverse(d.score), d.driver_id)).collect();
        prop_assert!(keys.is_sorted());
    }
}
