//! The phrases that labels are made of: in small letters, without signs, "#" and "no." as "number".

use super::labels::{Label, Part};

pub const PARTS: &[(Part, &str)] = &[
    (
        Part::Pickup,
        "pickup, pick up, p u, pu, origin, from, collect, collection, ship from, shipper, vehicle location, loading",
    ),
    (
        Part::Delivery,
        "\
        delivery, deliver, deliver to, drop off, dropoff, drop, d o, do, del, destination, dest, to, ship to, \
        consignee, receiver, unload, unloading",
    ),
    (Part::Vehicles, "vehicle, vehicles, unit, units, car, cars, truck, cargo, commodity, auto, autos"),
    (Part::Customer, "broker, customer, bill to, buyer, client, dispatched by, agent, brokerage, order contact"),
    (Part::Carrier, "carrier, hauler, driver, assigned carrier, transporter"),
    (Part::Payment, "charges, payment information, pricing"),
    (
        Part::Notes,
        "\
        note, notes, instruction, instructions, special instructions, dispatch instructions, comment, comments, \
        remark, remarks, important, additional terms, special notes, additional info, driver instructions, driver \
        notes, load notes, please note",
    ),
    (Part::Order, "order information, order info, order details, load information, load details"),
];

pub const LABELS: &[(Label, &str)] = &[
    (Label::Name, "name, company, company name, business, business name, location name, facility"),
    (
        Label::Place,
        "\
        location, address, addr, street, street address, city, city state zip, city st zip, city state, city st, \
        town, place",
    ),
    (Label::State, "state, st, province, prov"),
    (Label::Zip, "zip, zip code, postal code, postal, zipcode"),
    (Label::Contact, "contact, contact name, contact person, attn, attention, rep, dispatcher, poc"),
    (
        Label::Phone,
        "\
        phone, tel, telephone, ph, cell, mobile, phone number, contact phone, contact number, my cell, cell phone, \
        direct, office, call",
    ),
    (Label::Email, "email, e mail, mail, email address, contact email"),
    (
        Label::Date,
        "date, dates, window, when, date time, eta, on, day, appointment, appt, time, hours, date range, date window",
    ),
    (
        Label::From,
        "\
        available, ready, first available, available from, ready date, available date, date available, first \
        available date, 1st available, avail, ready on, available on, after",
    ),
    (Label::Earliest, "earliest, earliest date, start date, from date"),
    (
        Label::To,
        "\
        by, before, latest, deadline, no later than, by date, due, due date, must deliver by, latest date, end \
        date, to date, latest delivery date",
    ),
    (Label::Vin, "vin, vin number, vin no, serial, serial number, vins"),
    (Label::Year, "year, yr, year make model, ymm, vehicle description, yr make model"),
    (Label::Make, "make"),
    (Label::Model, "model"),
    (Label::Color, "color, colour, ext color, exterior color"),
    (Label::Type, "type, vehicle type, body, body type, body style"),
    (
        Label::Lot,
        "lot, lot number, lot no, stock, stk, stock lot, lot stock, stock number, stock no, stk number, lot id",
    ),
    (
        Label::Condition,
        "\
        condition, runs, operable, run drive, run and drive, runs and drives, running, drivable, starts, running \
        condition, vehicle condition, run drives, runs drives",
    ),
    (Label::Inoperable, "inop, inoperable, non running, inops"),
    (Label::Keys, "keys, key"),
    (
        Label::Price,
        "\
        price, pay, carrier pay, rate, carrier rate, total, total payment, total payment to carrier, total pay, \
        amount, pays, line haul, linehaul, carrier line haul, carrier linehaul, all in, total price, total carrier \
        pay, carrier price, carrier payment, total amount, offer, total to carrier, total rate",
    ),
    (Label::Fee, "broker fee, brokerage fee, fee, brokers fee, dispatch fee"),
    (Label::Cod, "cod, cod amount, on delivery to carrier, cash on delivery, collect on delivery, cod to carrier"),
    (
        Label::Payment,
        "\
        payment terms, terms, pay terms, payment, payment method, method, payment type, pay method, form of \
        payment, payment term, pay type, method of payment",
    ),
    (Label::Currency, "currency"),
    (
        Label::Reference,
        "\
        load, load id, load number, order, order id, order number, ref, reference, ref number, reference number, \
        dispatch id, job, job number, po, po number, booking, booking number, booking load, booking load number, \
        release, release number, tender, load tender, shipment, shipment id, shipment number, load ref, your ref, \
        our ref, dispatch number, order reference, load reference",
    ),
    (Label::McNumber, "mc, mc number, docket, mc docket"),
    (Label::Usdot, "usdot, dot, us dot, usdot number, dot number, us dot number"),
    (
        Label::Transport,
        "\
        trailer, trailer type, ship via, equipment, transport, transport type, equipment type, trailer required, \
        trailer needed, transport method, carrier type, service",
    ),
    (Label::BuyerNumber, "buyer number, buyer no, buyer id, buyer code, member number, buyers number, bidder number"),
    (Label::GateNumber, "gate, gate pass, gate code, gate number, gate pin, pin, gate pass number, gatepass"),
    (
        Label::Other,
        "\
        fax, plate, odometer, mileage, miles, sale date, dispatch date, dispatched on, distance, company owes \
        carrier, broker owes carrier, owes carrier, insurance, on pickup to carrier, cc, weight, license plate, \
        listed on, posted, website, web, created, date created, status, title, carrier mc, carrier dot, carrier \
        name, carrier phone, carrier contact, date of sale, invoice date, signed, signature",
    ),
];

/// Words that say nothing beside others.
pub const FILLERS: &str = "\
    information info details detail the number no est estimated scheduled requested from to at on for s your our is \
    actual type and carrier customer";
