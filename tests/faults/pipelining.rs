//! Deliveries one behind the other over one connection, without waiting for answers: each is answered, in order.

use crate::harness::client::{Raw, whole};
use crate::harness::load::fate;
use crate::harness::{Excuse, Fault};
use crate::support::http::Connection;
use std::net::TcpStream;
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "pipelining",
    title: "up to 100 deliveries sent over one connection before the first answer is read",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on();
        for _ in stage.rounds(5, 100) {
            let deliveries: Vec<_> = (0..1 + stage.random(100))
                .map(|_| stage.delivery())
                .collect();
            let mut bytes: Vec<u8> = deliveries.iter().flat_map(|(_, it)| whole(it)).collect();
            let stream = TcpStream::connect(stage.ingress()).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let writer = stream.try_clone().unwrap();
            // In pieces that end anywhere.
            let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| {
                let length = bytes.len().min(1 + stage.random(9000) as usize);
                (length > 0).then(|| bytes.drain(..length).collect())
            })
            .collect();
            let sending = std::thread::spawn(move || {
                let mut raw = Raw::over(writer);
                pieces.iter().for_each(|piece| assert!(raw.send(piece)));
            });
            let mut connection = Connection::over(stream);
            let mut last = None;
            for (number, _) in deliveries {
                let fate = fate(&connection.response());
                if let crate::harness::load::Fate::Accepted(id) = fate {
                    assert!(last < Some(id), "answers are in the order of requests");
                    last = Some(id);
                }
                stage.delivered(number, fate);
            }
            sending.join().unwrap();
            stage.accept(20);
        }
    },
};
