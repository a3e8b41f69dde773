//! Whatever is done to an order, in whatever sequence, it stays one that the state machine knows.

use proptest::prelude::*;
use proptest::sample::Index;

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
        vehicle_counts: VehicleCounts { total: vehicles, picked_up: 0, delivered: 0 },
        created_by: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
        vehicles: Some((1..=vehicles).map(vehicle).collect()),
        tag_ids: None,
        customer: None,
        driver: None,
        trip: None,
    }
}

#[derive(Debug, Clone)]
enum Doing {
    Assign,
    Unassign,
    Pickup(Option<Index>),
    Depart,
    Deliver(Option<Index>),
    Cancel(Option<Index>),
    Hold,
    Release,
    Archive,
    Unarchive,
}

fn doing() -> impl Strategy<Value = Doing> {
    let one = || proptest::option::of(any::<Index>());
    prop_oneof![
        3 => Just(Doing::Assign),
        1 => Just(Doing::Unassign),
        4 => one().prop_map(Doing::Pickup),
        2 => Just(Doing::Depart),
        4 => one().prop_map(Doing::Deliver),
        1 => one().prop_map(Doing::Cancel),
        1 => Just(Doing::Hold),
        1 => Just(Doing::Release),
        1 => Just(Doing::Archive),
        1 => Just(Doing::Unarchive),
    ]
}

fn which(order: &Order, index: Option<Index>) -> Which {
    match (order.loaded_vehicles(), index) {
        ([], _) | (_, None) => Which::All,
        (vehicles, Some(index)) => Which::One(index.get(vehicles).id),
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
        Doing::Depart => depart(order, moves),
        Doing::Deliver(index) => deliver(order, moves, which(order, *index), at(2)),
        Doing::Cancel(index) => cancel(order, moves, which(order, *index)),
        Doing::Hold => hold(order),
        Doing::Release => release(order),
        Doing::Archive => archive(order, at(3)),
        Doing::Unarchive => unarchive(order),
    }
}

/// Every step of the order and of each vehicle is legal and starts where the one before has ended.
fn check_steps(before: &Order, after: &Order, steps: &[Step]) {
    let follow = |id: Option<VehicleId>, mut status: OrderStatus| {
        for step in steps.iter().filter(|step| step.vehicle_id == id) {
            assert_eq!(step.from, Some(status), "{steps:?}");
            assert!(status.next().contains(&step.to), "{status:?} to {:?}", step.to);
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
