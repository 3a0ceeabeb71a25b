//! What stands between the bridge and Kafka: passes on what both say to each other, late, in part, or not at all.
//!
//! It reads whole requests and answers, and knows which of them are about records: so it can break a connection in the middle of the very
//! answer that says that a batch is stored. And it knows where error codes stand in answers (`codes`), and can put others there.

use super::codes::{self, Field};
use crate::support::eventually::within;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Kafka's number for the request that brings records.
const PRODUCE: i16 = 0;

/// Larger than any request or answer of a bridge.
const MAX_FRAME: usize = 64 << 20;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done with what comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Nothing,
    /// Requests that bring records wait here.
    Records,
    /// Answers to them wait here, and get lost when that ends: the records are stored, and the bridge does not know.
    Answers,
}

struct Orders {
    hold: Hold,
    /// Counts the holds that have ended.
    ended: u64,
    /// How long an answer takes, in four parts.
    delay: Duration,
    /// How many answers to records are still to be cut off in the middle.
    cuts: u64,
    /// How many were.
    cut: u64,
    /// Requests with records that the broker has not answered.
    under_way: u64,
    /// Answers that wait.
    held: u64,
    /// The code to put into such fields of the next so many answers.
    rewrite: Option<(Field, i16, u64)>,
    /// How many codes were put in.
    rewritten: u64,
    /// Of how many frames in a thousand the connection ends instead, and the state of what chooses them.
    drops: u64,
    dropped: u64,
    random: u64,
    closed: bool,
    open: Vec<TcpStream>,
}

struct State {
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// One that stands there until it is dropped.
pub struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
}

impl Proxy {
    /// Stands before this broker.
    pub fn before(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Orders {
            hold: Hold::Nothing,
            ended: 0,
            delay: Duration::ZERO,
            cuts: 0,
            cut: 0,
            under_way: 0,
            held: 0,
            rewrite: None,
            rewritten: 0,
            drops: 0,
            dropped: 0,
            random: 0x9e37_79b9,
            closed: false,
            open: Vec::new(),
        };
        let state = Arc::new(State {
            orders: Mutex::new(orders),
            changed: Condvar::new(),
        });
        std::thread::spawn({
            let state = Arc::clone(&state);
            move || state.accept(&listener, broker)
        });
        Self { state, address }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on every answer takes so long.
    pub fn slow(&self, delay: Duration) {
        self.state.orders.lock().unwrap().delay = delay;
    }

    /// The next so many answers to records break off in the middle, and their connections with them. Waits until that has happened.
    pub fn cut(&self, count: u64) {
        let wanted = {
            let mut orders = self.state.orders.lock().unwrap();
            orders.cuts = count;
            orders.cut + count
        };
        within(PATIENCE, "answers are cut off", || {
            (self.state.orders.lock().unwrap().cut >= wanted).then_some(())
        });
    }

    /// Puts this code into the next so many answers that have such a field with another one.
    pub fn rewrite(&self, field: Field, code: i16, answers: u64) {
        self.state.orders.lock().unwrap().rewrite = Some((field, code, answers));
    }

    /// Whether that has been done.
    pub fn has_rewritten(&self) -> bool {
        self.state.orders.lock().unwrap().rewrite.is_none()
    }

    /// How many codes were put in so far.
    pub fn rewritten(&self) -> u64 {
        self.state.orders.lock().unwrap().rewritten
    }

    /// From now on connections end at random, in place of so many of a thousand frames.
    pub fn drop_at_random(&self, of_a_thousand: u64) {
        self.state.orders.lock().unwrap().drops = of_a_thousand;
    }

    /// How many connections were ended at random.
    pub fn dropped(&self) -> u64 {
        self.state.orders.lock().unwrap().dropped
    }

    /// Keeps records from the broker, and waits until it has answered all that it got before: now the topics stand still.
    pub fn hold_records(&self) {
        self.hold(Hold::Records, "the broker owes no answer", |orders| {
            orders.under_way == 0
        });
    }

    /// Lets the broker store records, and keeps the bridge from knowing. Waits until there are such.
    pub fn hold_answers(&self) {
        self.hold(Hold::Answers, "an answer is held back", |orders| {
            orders.held > 0
        });
    }

    /// The end of a hold: records go on, answers are lost with their connections.
    pub fn release(&self) {
        let mut orders = self.state.orders.lock().unwrap();
        orders.hold = Hold::Nothing;
        orders.ended += 1;
        self.state.changed.notify_all();
    }

    fn hold(&self, hold: Hold, what: &str, reached: impl Fn(&Orders) -> bool) {
        self.state.orders.lock().unwrap().hold = hold;
        within(PATIENCE, what, || {
            reached(&self.state.orders.lock().unwrap()).then_some(())
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut orders = self.state.orders.lock().unwrap();
        orders.closed = true;
        orders.hold = Hold::Nothing;
        orders.ended += 1;
        for stream in orders.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.state.changed.notify_all();
        drop(orders);
        // So that it no longer waits for the next.
        let _ = TcpStream::connect(self.address);
    }
}

/// A request whose answer is due.
struct Asked {
    under_way: Option<UnderWay>,
    api: i16,
    version: i16,
}

/// A request with records that is under way; no more when dropped.
struct UnderWay(Arc<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.orders.lock().unwrap().under_way -= 1;
    }
}

impl State {
    fn accept(self: Arc<Self>, listener: &TcpListener, broker: SocketAddr) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.orders.lock().unwrap().closed {
                return;
            }
            // A broker that is away refuses: so does this.
            let Ok(server) = TcpStream::connect(broker) else {
                continue;
            };
            self.connect(client, server);
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = || Ok::<_, io::Error>((client.try_clone()?, server.try_clone()?));
        let Ok((to_client, to_server)) = copies() else {
            return;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        if let Ok((one, other)) = copies() {
            self.orders.lock().unwrap().open.extend([one, other]);
        }
        let (asked, questions) = channel();
        let (there, back) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || {
            let _ = there.requests(&client, &to_server, &asked);
            end(&client, &to_server);
        });
        std::thread::spawn(move || {
            let _ = back.answers(&server, &to_client, &questions);
            end(&server, &to_client);
        });
    }

    fn requests(
        self: &Arc<Self>,
        client: &TcpStream,
        mut server: &TcpStream,
        asked: &Sender<Asked>,
    ) -> io::Result<()> {
        loop {
            let request = frame(client)?;
            let number = |at| {
                request
                    .get(at..at + 2)
                    .map(|it| i16::from_be_bytes([it[0], it[1]]))
            };
            let (api, version) = (number(4).unwrap_or(-1), number(6).unwrap_or(-1));
            let under_way = (api == PRODUCE).then(|| self.pass_records());
            if self.is_to_be_dropped() {
                return Ok(());
            }
            // Kafka answers the requests of a connection in their order.
            let question = Asked {
                under_way,
                api,
                version,
            };
            asked.send(question).map_err(io::Error::other)?;
            server.write_all(&request)?;
        }
    }

    /// Waits while records are held, and counts these.
    fn pass_records(self: &Arc<Self>) -> UnderWay {
        let orders = self.orders.lock().unwrap();
        let held = |orders: &mut Orders| orders.hold == Hold::Records;
        let mut orders = self.changed.wait_while(orders, held).unwrap();
        orders.under_way += 1;
        UnderWay(Arc::clone(self))
    }

    fn answers(
        &self,
        server: &TcpStream,
        mut client: &TcpStream,
        questions: &Receiver<Asked>,
    ) -> io::Result<()> {
        loop {
            let mut answer = frame(server)?;
            let Asked {
                under_way,
                api,
                version,
            } = questions.recv().map_err(io::Error::other)?;
            self.rewrite(api, version, &mut answer);
            if self.is_to_be_dropped() {
                return Ok(());
            }
            let about_records = under_way.is_some();
            drop(under_way);
            if about_records && self.is_lost() {
                return Ok(());
            }
            if about_records && self.is_to_be_cut() {
                client.write_all(&answer[..answer.len() / 2])?;
                end(server, client);
                self.orders.lock().unwrap().cut += 1;
                return Ok(());
            }
            let delay = self.orders.lock().unwrap().delay;
            for part in answer.chunks(answer.len().div_ceil(4)) {
                std::thread::sleep(delay / 4);
                client.write_all(part)?;
            }
        }
    }

    /// Waits while answers are held; whether this one was, and so never arrives.
    fn is_lost(&self) -> bool {
        let mut orders = self.orders.lock().unwrap();
        if orders.hold != Hold::Answers {
            return false;
        }
        let ended = orders.ended;
        orders.held += 1;
        let held = |orders: &mut Orders| orders.ended == ended;
        self.changed.wait_while(orders, held).unwrap().held -= 1;
        true
    }

    fn rewrite(&self, api: i16, version: i16, answer: &mut [u8]) {
        let mut orders = self.orders.lock().unwrap();
        let Some((field, code, left)) = orders.rewrite.filter(|(field, ..)| field.is_of(api))
        else {
            return;
        };
        let places = codes::places(field, version, &answer[4..]);
        if places.is_empty() {
            return;
        }
        orders.rewritten += places.len() as u64;
        orders.rewrite = (left > 1).then_some((field, code, left - 1));
        for place in places {
            answer[4 + place..6 + place].copy_from_slice(&code.to_be_bytes());
        }
    }

    fn is_to_be_dropped(&self) -> bool {
        let mut orders = self.orders.lock().unwrap();
        orders.random = orders
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let dropped = (orders.random >> 33) % 1000 < orders.drops;
        orders.dropped += u64::from(dropped);
        dropped
    }

    fn is_to_be_cut(&self) -> bool {
        let mut orders = self.orders.lock().unwrap();
        let cut = orders.cuts > 0;
        orders.cuts -= u64::from(cut);
        cut
    }
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// A request or an answer, with its length before it.
fn frame(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::other("that is no frame of Kafka's"));
    }
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}
