//! Whatever is done to an order, in whatever sequence, it stays one that the state machine knows.

use proptest::prelude::*;

use super::*;
use crate::customers::CustomerId;
use crate::drivers::DriverId;
use crate::orders::{BillingStatus, NewVehicle, OrderId, Stop, TransportType};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn stop() -> Stop {
    Stop {
        location_id: None,
        name: None,
        address: None,
        city: "Lexington".into(),
        state: "KY".into(),
        zip: None,
        contact_name: None,
        phone: None,
        time_zone: "America/New_York".into(),
        from: at(0),
        to: at(0),
        date: at(0).date_naive(),
        notes: None,
    }
}

fn order(vehicles: i16) -> Order {
    let vehicle = |position| {
        let new: NewVehicle = serde_json::from_value(serde_json::json!({})).unwrap();
        new.into_vehicle(position, New, "", &mut Default::default())
    };
    Order {
        id: OrderId::new(),
        number: 1,
        reference: None,
        status: New,
        billing_status: BillingStatus::Unbilled,
        on_hold: false,
        hold_reason: None,
        archived_at: None,
        cancel_reason_id: None,
        custom_status_id: None,
        transport_type: TransportType::Open,
        customer_id: CustomerId::new(),
        dispatcher_id: None,
        driver_id: None,
        truck_id: None,
        trailer_id: None,
        trip_id: None,
        split_from: None,
        pickup: stop(),
        delivery: stop(),
        price: None,
        broker_fee: None,
        cod_amount: None,
        currency: "USD".into(),
        payment_method: None,
        payment_term: None,
        notes: None,
        has_pod: false,
        is_late: false,
        is_inoperable: false,
        vehicle_counts: VehicleCounts { total: vehicles, picked_up: 0, delivered: 0, on_hold: 0 },
        created_by: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
        vehicles: Some((1..=vehicles).map(vehicle).collect()),
        tag_ids: None,
        warnings: None,
        customer: None,
        driver: None,
        trip: None,
    }
}

#[derive(Debug, Clone)]
enum Doing {
    Assign,
    Unassign,
    Pickup(Option<usize>),
    Depart(Option<usize>),
    Deliver(Option<usize>),
    Cancel(Option<usize>),
    Hold(Option<usize>),
    Release(Option<usize>),
    Relay,
    Archive,
    Unarchive,
}

fn doing() -> impl Strategy<Value = Doing> {
    let one = || proptest::option::of(any::<usize>());
    prop_oneof![
        3 => Just(Doing::Assign),
        1 => Just(Doing::Unassign),
        4 => one().prop_map(Doing::Pickup),
        2 => one().prop_map(Doing::Depart),
        4 => one().prop_map(Doing::Deliver),
        1 => one().prop_map(Doing::Cancel),
        1 => one().prop_map(Doing::Hold),
        1 => one().prop_map(Doing::Release),
        1 => Just(Doing::Relay),
        1 => Just(Doing::Archive),
        1 => Just(Doing::Unarchive),
    ]
}

fn which(order: &Order, index: Option<usize>) -> Which {
    match (order.loaded_vehicles(), index) {
        ([], _) | (_, None) => Which::All,
        (vehicles, Some(index)) => Which::One(vehicles[index % vehicles.len()].id),
    }
}

fn perform(doing: &Doing, order: &mut Order, moves: &mut Moves) -> Result<()> {
    match doing {
        Doing::Assign => {
            assign(order, moves)?;
            order.driver_id = Some(DriverId::new());
            Ok(())
        }
        Doing::Unassign => unassign(order, moves),
        Doing::Pickup(index) => pickup(order, moves, which(order, *index), at(1)),
        Doing::Depart(index) => depart(order, moves, which(order, *index)),
        Doing::Deliver(index) => deliver(order, moves, which(order, *index), at(2)),
        Doing::Cancel(index) => cancel(order, moves, which(order, *index)),
        Doing::Hold(index) => hold(order, moves, which(order, *index)),
        Doing::Release(index) => release(order, moves, which(order, *index)),
        Doing::Relay => relay(order, moves),
        Doing::Archive => archive(order, moves, at(3)),
        Doing::Unarchive => unarchive(order, moves),
    }
}

/// Every step of the order and of each vehicle is legal and starts where the one before has ended.
fn check_steps(before: &Order, after: &Order, steps: &[Step]) {
    let follow = |id: Option<VehicleId>, mut status: OrderStatus| {
        for step in steps.iter().filter(|step| step.vehicle_id == id) {
            assert_eq!(step.from, Some(status), "{steps:?}");
            let stays = step.event.is_some() && step.to == status;
            assert!(stays || status.next().contains(&step.to), "{status:?} to {:?}", step.to);
            status = step.to;
        }
        status
    };
    assert_eq!(follow(None, before.status), after.status);
    for vehicle in before.loaded_vehicles() {
        let now = after.vehicle(vehicle.id).unwrap().status;
        assert_eq!(follow(Some(vehicle.id), vehicle.status), now);
    }
}

/// The order is as far as the vehicle that is least far.
fn check_state(order: &Order) {
    let active: Vec<_> = order.loaded_vehicles().iter().filter(|vehicle| vehicle.is_active()).collect();
    if let Some(least) = active.iter().map(|vehicle| vehicle.status).min_by_key(|status| status.rank()) {
        assert_eq!(order.status, least);
    }
    assert_eq!(usize::try_from(order.vehicle_counts.total).unwrap(), active.len());
    assert!(order.vehicle_counts.delivered <= order.vehicle_counts.picked_up);
    assert!(order.vehicle_counts.picked_up <= order.vehicle_counts.total);
    assert_eq!(
        usize::try_from(order.vehicle_counts.on_hold).unwrap(),
        active.iter().filter(|vehicle| vehicle.on_hold).count()
    );
    for vehicle in order.loaded_vehicles() {
        assert!(
            !vehicle.on_hold || matches!(vehicle.status, New | Assigned),
            "only what is still to be picked up waits"
        );
        assert!(vehicle.on_hold || vehicle.hold_reason.is_none());
    }
    if order.archived_at.is_some() {
        assert!(matches!(order.status, Delivered | Cancelled));
    }
}

proptest! {
    #[test]
    fn any_sequence_of_actions_keeps_the_order_whole(vehicles in 0_i16..5, doings in proptest::collection::vec(doing(), 1..25)) {
        let mut order = order(vehicles);
        for doing in doings {
            let before = order.clone();
            let mut moves = Moves::default();
            match perform(&doing, &mut order, &mut moves) {
                Ok(()) => check_steps(&before, &order, &moves.steps),
                // As the caller does: what was refused is thrown away.
                Err(_) => order = before,
            }
            check_state(&order);
        }
    }
}

#[test]
fn an_order_without_vehicles_can_be_assigned_and_cancelled_and_never_picked_up() {
    let mut order = order(0);
    let mut moves = Moves::default();
    assign(&mut order, &mut moves).unwrap();
    assert_eq!(order.status, Assigned);
    assert!(pickup(&mut order, &mut moves, Which::All, at(1)).is_err());
    cancel(&mut order, &mut moves, Which::All).unwrap();
    assert_eq!(order.status, Cancelled);
}

/// An order whose only vehicle has come this far, as actions bring it there.
fn order_at(status: OrderStatus) -> Order {
    let (mut order, mut moves) = (order(1), Moves::default());
    if status == Cancelled {
        cancel(&mut order, &mut moves, Which::All).unwrap();
        return order;
    }
    let way = [Doing::Assign, Doing::Pickup(None), Doing::Depart(None), Doing::Deliver(None)];
    for doing in way.iter().take(usize::from(status.rank())) {
        perform(doing, &mut order, &mut moves).unwrap();
    }
    assert_eq!(order.status, status);
    order
}

#[test]
fn each_action_is_legal_in_these_states_of_an_order_and_of_a_vehicle() {
    use Doing::*;
    const OPEN: &[OrderStatus] = &[New, Assigned, PickedUp, InTransit];
    let table: [(&str, Doing, &[OrderStatus]); 17] = [
        ("assign", Assign, &[New, Assigned]),
        ("unassign", Unassign, &[Assigned]),
        ("pickup", Pickup(None), &[Assigned]),
        ("pickup of a vehicle", Pickup(Some(0)), &[Assigned]),
        ("depart", Depart(None), &[PickedUp]),
        ("depart with a vehicle", Depart(Some(0)), &[PickedUp]),
        ("deliver", Deliver(None), &[PickedUp, InTransit]),
        ("deliver a vehicle", Deliver(Some(0)), &[PickedUp, InTransit]),
        ("cancel", Cancel(None), &[New, Assigned]),
        ("cancel a vehicle", Cancel(Some(0)), &[New, Assigned]),
        ("hold", Hold(None), OPEN),
        ("hold a vehicle", Hold(Some(0)), &[New, Assigned]),
        ("release", Release(None), OrderStatus::ALL),
        ("release a vehicle", Release(Some(0)), OrderStatus::ALL),
        ("relay", Relay, &[Assigned, PickedUp, InTransit]),
        ("archive", Archive, &[Delivered, Cancelled]),
        ("unarchive", Unarchive, OrderStatus::ALL),
    ];
    for (name, doing, legal) in table {
        for &status in OrderStatus::ALL {
            let (mut order, mut moves) = (order_at(status), Moves::default());
            match perform(&doing, &mut order, &mut moves) {
                Ok(()) => assert!(legal.contains(&status), "{name} when {status:?}"),
                Err(Error::Conflict { code: ConflictCode::IllegalMove, allowed: Some(allowed), .. }) => {
                    assert!(!legal.contains(&status), "{name} when {status:?}");
                    let next: Vec<_> = status.next().iter().map(|next| next.as_str()).collect();
                    assert_eq!(allowed, next, "{name} when {status:?}");
                }
                Err(error) => panic!("{name} when {status:?}: {error}"),
            }
        }
    }
}

fn place(order: &Order, n: usize) -> Which {
    Which::One(order.loaded_vehicles()[n].id)
}

fn conflict(result: Result<()>) -> (ConflictCode, Vec<String>) {
    match result {
        Err(Error::Conflict { code, allowed, .. }) => (code, allowed.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_held_vehicle_stays_behind_while_the_rest_of_the_order_goes_its_way() {
    let (mut order, mut moves) = (order(3), Moves::told(None, Some("keys missing".into())));
    let held = place(&order, 1);
    hold(&mut order, &mut moves, held).unwrap();
    let mut moves = Moves::default();
    assign(&mut order, &mut moves).unwrap();
    assert_eq!(
        conflict(pickup(&mut order, &mut moves, held, at(1))),
        (ConflictCode::OnHold, vec!["new".into(), "cancelled".into()])
    );
    pickup(&mut order, &mut moves, Which::All, at(1)).unwrap();
    assert_eq!(
        (order.status, order.vehicle_counts),
        (Assigned, VehicleCounts { total: 3, picked_up: 2, delivered: 0, on_hold: 1 })
    );
    assert_eq!(
        conflict(pickup(&mut order, &mut moves, Which::All, at(1))).0,
        ConflictCode::OnHold,
        "all that waits is on hold"
    );
    depart(&mut order, &mut moves, Which::All).unwrap();
    deliver(&mut order, &mut moves, Which::All, at(2)).unwrap();
    let stands: Vec<_> = order.loaded_vehicles().iter().map(|vehicle| vehicle.status).collect();
    assert_eq!(stands, [Delivered, Assigned, Delivered]);
    assert_eq!(order.loaded_vehicles()[1].hold_reason.as_deref(), Some("keys missing"));

    release(&mut order, &mut moves, held).unwrap();
    pickup(&mut order, &mut moves, Which::All, at(3)).unwrap();
    deliver(&mut order, &mut moves, Which::All, at(4)).unwrap();
    assert_eq!((order.status, order.vehicle_counts.on_hold), (Delivered, 0));
}

#[test]
fn nobody_leaves_behind_what_is_not_on_hold_unless_a_vehicle_is_named() {
    let (mut order, mut moves) = (order(2), Moves::default());
    assign(&mut order, &mut moves).unwrap();
    let first = place(&order, 0);
    pickup(&mut order, &mut moves, first, at(1)).unwrap();
    assert_eq!(conflict(depart(&mut order, &mut moves, Which::All)).0, ConflictCode::IllegalMove);
    depart(&mut order, &mut moves, first).unwrap();
    let stands: Vec<_> = order.loaded_vehicles().iter().map(|vehicle| vehicle.status).collect();
    assert_eq!((order.status, stands), (Assigned, vec![InTransit, Assigned]));
}

#[test]
fn what_is_cancelled_waits_for_nothing() {
    let (mut order, mut moves) = (order(2), Moves::default());
    let first = place(&order, 0);
    hold(&mut order, &mut moves, first).unwrap();
    cancel(&mut order, &mut moves, first).unwrap();
    assert_eq!(order.vehicle_counts, VehicleCounts { total: 1, picked_up: 0, delivered: 0, on_hold: 0 });
    assert!(!order.loaded_vehicles()[0].on_hold);
}
