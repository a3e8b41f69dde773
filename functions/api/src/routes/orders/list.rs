//! `GET /v1/orders`: the dispatch list.

use axum::extract::State;
use carhaul_core::base::day::Day;
use carhaul_core::base::ids::UserId;
use carhaul_core::base::page::Limit;
use carhaul_core::base::strings::StateCode;
use carhaul_core::base::text::Text;
use carhaul_core::customers::CustomerId;
use carhaul_core::drivers::DriverId;
use carhaul_core::lookups::custom_statuses::CustomStatusId;
use carhaul_core::lookups::tags::TagId;
use carhaul_core::orders::list::{self, Filter, Include, OrderList, PlaceAndTime, Sort, View};
use carhaul_core::orders::{BillingStatus, OrderStatus, PaymentTerm, TransportType};
use carhaul_core::trips::TripId;
use carhaul_core::trucks::TruckId;
use carhaul_http::actor::Caller;
use carhaul_http::answer::Answer;
use carhaul_http::query::Query;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::routes::Outcome;

/// Several values of one parameter mean any of them; different parameters must all hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    #[serde(default)]
    status: Vec<OrderStatus>,
    #[serde(default)]
    custom_status: Vec<CustomStatusId>,
    /// True: without a driver; false: with one.
    unassigned: Option<bool>,
    #[serde(default)]
    driver: Vec<DriverId>,
    truck: Option<TruckId>,
    trip: Option<TripId>,
    /// The member who looks after it.
    dispatcher: Option<UserId>,
    #[serde(default)]
    customer: Vec<CustomerId>,
    #[serde(default)]
    tag: Vec<TagId>,
    pickup_state: Option<StateCode>,
    /// In any case of letters.
    pickup_city: Option<Text<60>>,
    pickup_zip: Option<Text<60>>,
    /// First local day of the pickup.
    pickup_date_from: Option<Day>,
    /// Last local day of the pickup.
    pickup_date_to: Option<Day>,
    delivery_state: Option<StateCode>,
    delivery_city: Option<Text<60>>,
    delivery_zip: Option<Text<60>>,
    delivery_date_from: Option<Day>,
    delivery_date_to: Option<Day>,
    transport_type: Option<TransportType>,
    is_inoperable: Option<bool>,
    #[serde(default)]
    payment_term: Vec<PaymentTerm>,
    #[serde(default)]
    billing_status: Vec<BillingStatus>,
    /// Whether a proof of delivery is on file.
    has_pod: Option<bool>,
    /// A window has closed before its pickup or delivery.
    late: Option<bool>,
    on_hold: Option<bool>,
    /// Whether any vehicle is on hold for itself.
    vehicles_on_hold: Option<bool>,
    /// True lists the archived ones instead.
    #[serde(default)]
    archived: bool,
    /// Prefixes of: order number, reference, VIN or its last six, lot number, words of the customer's name.
    #[param(example = "118341")]
    q: Option<String>,
    #[serde(default)]
    sort: Sort,
    /// What to add to each order, and `counts` for the tabs.
    #[serde(default)]
    include: Vec<Included>,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// What a list of orders can come with.
#[derive(Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[schema(as = OrderInclude)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Included {
    Vehicles,
    Tags,
    Customer,
    Driver,
    Trip,
    Counts,
}

/// List orders: the dispatch list.
///
/// Different filters must all hold. `include` adds the vehicles, tags, customer, driver or trip of each order; with
/// `counts` the answer has how many orders there are in each status, whatever `status` asks for. A driver sees the
/// orders that are theirs.
#[utoipa::path(get, path = "/v1/orders", operation_id = "list_orders", tag = "orders", params(ListQuery),
    responses((status = OK, body = OrderList)))]
pub async fn list(State(app): State<App>, Caller(actor): Caller, Query(query): Query<ListQuery>) -> Outcome {
    let (filter, view) = query.split();
    Ok(Answer::ok(&list::list(&app.db, &actor, &filter, &view).await?)?)
}

impl ListQuery {
    fn split(self) -> (Filter, View) {
        let includes = |what| self.include.contains(&what);
        let view = View {
            sort: self.sort,
            include: Include {
                vehicles: includes(Included::Vehicles),
                tags: includes(Included::Tags),
                customer: includes(Included::Customer),
                driver: includes(Included::Driver),
                trip: includes(Included::Trip),
            },
            counts: includes(Included::Counts),
            cursor: self.cursor,
            limit: self.limit,
        };
        let filter = Filter {
            status: self.status,
            custom_status: self.custom_status,
            unassigned: self.unassigned,
            driver: self.driver,
            truck: self.truck,
            trip: self.trip,
            dispatcher: self.dispatcher,
            customer: self.customer,
            tag: self.tag,
            pickup: PlaceAndTime {
                state: self.pickup_state,
                city: self.pickup_city,
                zip: self.pickup_zip,
                from: self.pickup_date_from,
                to: self.pickup_date_to,
            },
            delivery: PlaceAndTime {
                state: self.delivery_state,
                city: self.delivery_city,
                zip: self.delivery_zip,
                from: self.delivery_date_from,
                to: self.delivery_date_to,
            },
            transport_type: self.transport_type,
            is_inoperable: self.is_inoperable,
            payment_term: self.payment_term,
            billing_status: self.billing_status,
            has_pod: self.has_pod,
            late: self.late,
            on_hold: self.on_hold,
            vehicles_on_hold: self.vehicles_on_hold,
            archived: self.archived,
            q: self.q,
        };
        (filter, view)
    }
}
