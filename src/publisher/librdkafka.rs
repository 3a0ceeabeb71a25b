//! The calls of librdkafka that go past rdkafka, but for those of `tokens` and `policy`, which no broker's code comes back from.
//!
//! Guarantees: every value that may hold an error code of a broker crosses this border as an integer (`code` says why). Hence the
//! declarations below, which give such results their C type, and the reads of `err` fields as integers. A callback never panics and never
//! blocks for long: librdkafka calls it on the polling thread, on one that flushes, or (what is heard of connections) on its own.
use super::code::Code;
use super::pace::Pace;
use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::types::RDKafkaType;
use socket2::Socket;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::IntoRawFd;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

type OnNew = unsafe extern "C" fn(
    *mut native::rd_kafka_t,
    *const native::rd_kafka_conf_t,
    *mut c_void,
    *mut c_char,
    usize,
) -> c_int;
type OnState = unsafe extern "C" fn(
    *mut native::rd_kafka_t,
    i32,
    *const c_char,
    *const c_char,
    c_int,
    *const c_char,
    *mut c_void,
) -> c_int;
type OnResponse = unsafe extern "C" fn(
    *mut native::rd_kafka_t,
    c_int,
    *const c_char,
    i32,
    i16,
    i16,
    i32,
    usize,
    i64,
    c_int,
    *mut c_void,
) -> c_int;

// As in rdkafka.h, with `int` for `rd_kafka_resp_err_t`, which is one for any C compiler of ours.
unsafe extern "C" {
    pub(super) fn rd_kafka_err2str(code: c_int) -> *const c_char;
    fn rd_kafka_producev(rk: *mut native::rd_kafka_t, ...) -> c_int;
    fn rd_kafka_flush(rk: *mut native::rd_kafka_t, timeout_ms: c_int) -> c_int;
    fn rd_kafka_purge(rk: *mut native::rd_kafka_t, flags: c_int) -> c_int;
    fn rd_kafka_fatal_error(rk: *mut native::rd_kafka_t, text: *mut c_char, size: usize) -> c_int;
    fn rd_kafka_metadata(
        rk: *mut native::rd_kafka_t,
        all_topics: c_int,
        topic: *mut native::rd_kafka_topic_t,
        metadata: *mut *const native::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
    fn rd_kafka_event_error(event: *mut native::rd_kafka_event_t) -> c_int;
    fn rd_kafka_topic_result_error(result: *const native::rd_kafka_topic_result_t) -> c_int;
    fn rd_kafka_header_add(
        headers: *mut native::rd_kafka_headers_t,
        name: *const c_char,
        name_size: isize,
        value: *const c_void,
        value_size: isize,
    ) -> c_int;
    fn rd_kafka_conf_interceptor_add_on_new(
        conf: *mut native::rd_kafka_conf_t,
        name: *const c_char,
        on_new: OnNew,
        opaque: *mut c_void,
    ) -> c_int;
    fn rd_kafka_interceptor_add_on_broker_state_change(
        rk: *mut native::rd_kafka_t,
        name: *const c_char,
        on_state: OnState,
        opaque: *mut c_void,
    ) -> c_int;
    fn rd_kafka_interceptor_add_on_response_received(
        rk: *mut native::rd_kafka_t,
        name: *const c_char,
        on_response: OnResponse,
        opaque: *mut c_void,
    ) -> c_int;
}

/// Kafka's number for the request that brings records.
const PRODUCE: i16 = 0;

/// How long the polling thread sleeps while nothing happens; a stop wakes it.
const POLL: c_int = 1000;

/// How long a producer that is dropped waits for answers to requests that it has sent: what they acknowledge is not sent again. Without a
/// broker all of it passes.
const ANSWERS: Duration = Duration::from_millis(100);

/// What a producer that is dropped may still take for the reports of what it had.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// What became of a record.
pub struct Delivered {
    /// The number that it was given.
    pub opaque: usize,
    /// Partition and offset, or why not.
    pub result: Result<(i32, i64), Code>,
    /// The broker that was asked; negative where none was.
    pub broker: i32,
}

/// What librdkafka calls back into.
pub trait Listener: Send + Sync + 'static {
    /// A record is done with, one way or the other.
    fn delivered(&self, delivered: &Delivered);
    /// Something is wrong with a connection, or with the producer as a whole.
    fn error(&self, code: Code, words: &str);
    /// A line for the log.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str);
    /// Statistics, as JSON.
    fn statistics(&self, json: &[u8]);
    /// A connection to this broker ended while a batch was under way on it.
    fn hung_up(&self, broker: i32);
    /// How fast brokers are connected to.
    fn pace(&self) -> Pace;
    /// A connection's state, in librdkafka's words.
    fn connection(&self, broker: &str, state: &str);
}

/// The listener, as rdkafka carries it.
struct Context<L> {
    listener: L,
    /// The producer is being discarded.
    stopping: AtomicBool,
}

// Nothing of it is called: a producer in callback mode is told by the functions below.
impl<L: Listener> ClientContext for Context<L> {}

/// A pointer that the polling thread may have: librdkafka's handles are for any thread.
struct Handle(*mut native::rd_kafka_t);
// SAFETY: librdkafka is thread safe (INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for Handle {}

/// A producer, and the thread that polls it.
pub struct Producer<L: Listener> {
    // The listener lives in it, and with it as long as librdkafka may call.
    client: Client<Context<L>>,
    queue: *mut native::rd_kafka_queue_t,
    polling: Option<JoinHandle<()>>,
}

// SAFETY: as for `Handle`; the queue is a handle of the same kind.
unsafe impl<L: Listener> Send for Producer<L> {}
// SAFETY: as above.
unsafe impl<L: Listener> Sync for Producer<L> {}

/// What a cluster says of a topic.
pub struct TopicMetadata {
    /// What is wrong with it; `NO_ERROR` for nothing.
    pub code: Code,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many of them have no leader, or miss replicas.
    pub short: usize,
}

impl<L: Listener> Producer<L> {
    /// Builds a producer, which begins to connect. The error is librdkafka's.
    pub fn build(config: &ClientConfig, listener: L) -> Result<Self, String> {
        let conf = config
            .create_native_config()
            .map_err(|error| error.to_string())?;
        let context = Context {
            listener,
            stopping: AtomicBool::new(false),
        };
        // SAFETY: the configuration is valid until the client is built from it, and the functions have the types that it wants.
        unsafe {
            native::rd_kafka_conf_set_dr_msg_cb(conf.ptr(), Some(on_delivered::<L>));
            native::rd_kafka_conf_set_error_cb(conf.ptr(), Some(on_error::<L>));
            native::rd_kafka_conf_set_log_cb(conf.ptr(), Some(on_log::<L>));
            native::rd_kafka_conf_set_stats_cb(conf.ptr(), Some(on_statistics::<L>));
            native::rd_kafka_conf_set_socket_cb(conf.ptr(), Some(on_socket::<L>));
            rd_kafka_conf_interceptor_add_on_new(
                conf.ptr(),
                c"icr-bridge".as_ptr(),
                on_new::<L>,
                null_mut(),
            );
        }
        let client = Client::new(config, conf, RDKafkaType::RD_KAFKA_PRODUCER, context)
            .map_err(|error| error.to_string())?;
        // SAFETY: the handle is valid; the queue is given back in `drop`.
        let queue = unsafe { native::rd_kafka_queue_get_main(client.native_ptr()) };
        let mut producer = Self {
            client,
            queue,
            polling: None,
        };
        let handle = Handle(producer.native());
        let context = Arc::clone(producer.client.context());
        let poll = move || {
            let Handle(rk) = { handle };
            while !context.stopping.load(Ordering::Acquire) {
                // SAFETY: `drop` joins this thread before the handle goes.
                unsafe { native::rd_kafka_poll(rk, POLL) };
            }
        };
        let thread = std::thread::Builder::new().name("kafka-reports".to_owned());
        producer.polling = Some(thread.spawn(poll).map_err(|error| error.to_string())?);
        Ok(producer)
    }

    /// librdkafka's own handle, alive as long as this.
    pub fn native(&self) -> *mut native::rd_kafka_t {
        self.client.native_ptr()
    }

    /// The listener.
    pub fn listener(&self) -> &L {
        &self.client.context().listener
    }

    /// Hands a record over; it is reported under `opaque` if, and only if, it is taken.
    pub fn send<'h>(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        headers: impl ExactSizeIterator<Item = (&'h str, &'h [u8])>,
        timestamp: i64,
        opaque: usize,
    ) -> Result<(), Code> {
        let Ok(topic) = CString::new(topic) else {
            return Err(Code::INVALID_TOPIC);
        };
        let size = |bytes: &[u8]| isize::try_from(bytes.len()).unwrap_or(0);
        let (key, key_size) = key.map_or((null_mut(), 0), |key| {
            (key.as_ptr().cast_mut().cast::<c_void>(), key.len())
        });
        // SAFETY: sizes are those of what the pointers point to, which librdkafka copies (`MSG_F_COPY`; `header_add` always does). The
        // headers are its own once it has taken the record, and given back otherwise. The list of arguments is as rdkafka.h wants it.
        let code = unsafe {
            let native_headers = native::rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                rd_kafka_header_add(
                    native_headers,
                    name.as_ptr().cast(),
                    size(name.as_bytes()),
                    value.as_ptr().cast(),
                    size(value),
                );
            }
            use native::rd_kafka_vtype_t as V;
            let code = rd_kafka_producev(
                self.native(),
                V::RD_KAFKA_VTYPE_TOPIC as c_int,
                topic.as_ptr(),
                V::RD_KAFKA_VTYPE_PARTITION as c_int,
                -1_i32,
                V::RD_KAFKA_VTYPE_MSGFLAGS as c_int,
                native::RD_KAFKA_MSG_F_COPY,
                V::RD_KAFKA_VTYPE_VALUE as c_int,
                value.as_ptr().cast_mut().cast::<c_void>(),
                value.len(),
                V::RD_KAFKA_VTYPE_KEY as c_int,
                key,
                key_size,
                V::RD_KAFKA_VTYPE_OPAQUE as c_int,
                opaque as *mut c_void,
                V::RD_KAFKA_VTYPE_TIMESTAMP as c_int,
                timestamp,
                V::RD_KAFKA_VTYPE_HEADERS as c_int,
                native_headers,
                V::RD_KAFKA_VTYPE_END as c_int,
            );
            if code != 0 {
                native::rd_kafka_headers_destroy(native_headers);
            }
            code
        };
        if code == 0 { Ok(()) } else { Err(Code(code)) }
    }

    /// Sends what lingers at once and waits until all is reported, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        // SAFETY: the handle is valid. What it did not manage in time is the caller's to know.
        unsafe { rd_kafka_flush(self.native(), milliseconds(limit)) };
    }

    /// Why librdkafka has given this producer up, if it has.
    pub fn fatal(&self) -> Option<(Code, String)> {
        let mut text = [0_u8; 512];
        // SAFETY: librdkafka writes no more than the size, and ends the text with a zero.
        let code =
            unsafe { rd_kafka_fatal_error(self.native(), text.as_mut_ptr().cast(), text.len()) };
        let words = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        (code != 0).then(|| (Code(code), words.to_string_lossy().into_owned()))
    }

    /// What the cluster says of a topic; `Ok(None)`: nothing. The error is why it could not be asked.
    pub fn metadata(&self, topic: &str, limit: Duration) -> Result<Option<TopicMetadata>, Code> {
        let Ok(name) = CString::new(topic) else {
            return Err(Code::INVALID_TOPIC);
        };
        // SAFETY: the topic's handle is given back at once, the metadata when it has been read; librdkafka sets the pointer on success.
        unsafe {
            let handle = native::rd_kafka_topic_new(self.native(), name.as_ptr(), null_mut());
            if handle.is_null() {
                return Err(Code::INVALID_TOPIC);
            }
            let mut metadata = std::ptr::null();
            let limit = milliseconds(limit);
            let code = rd_kafka_metadata(self.native(), 0, handle, &mut metadata, limit);
            native::rd_kafka_topic_destroy(handle);
            if code != 0 {
                return Err(Code(code));
            }
            let found = read_metadata(metadata, &name);
            native::rd_kafka_metadata_destroy(metadata);
            Ok(found)
        }
    }

    /// Creates a topic, over this producer's connections; waits for the answer.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        config: &[(&CStr, &CStr)],
        limit: Duration,
    ) -> Result<(), (Code, String)> {
        let Ok(name) = CString::new(name) else {
            return Err((Code::INVALID_TOPIC, Code::INVALID_TOPIC.to_string()));
        };
        let mut text = [0_u8; 512];
        // SAFETY: each handle is valid until it is given back at the end; librdkafka copies names and values, and writes no more than the
        // size of the text. The result belongs to the event.
        unsafe {
            let (words, size) = (text.as_mut_ptr().cast::<c_char>(), text.len());
            let mut topic =
                native::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication, words, size);
            if topic.is_null() {
                let words = CStr::from_ptr(words).to_string_lossy().into_owned();
                return Err((Code::INVALID_TOPIC, words));
            }
            for (name, value) in config {
                native::rd_kafka_NewTopic_set_config(topic, name.as_ptr(), value.as_ptr());
            }
            let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS;
            let options = native::rd_kafka_AdminOptions_new(self.native(), operation);
            let patience = milliseconds(limit);
            native::rd_kafka_AdminOptions_set_request_timeout(options, patience, words, size);
            native::rd_kafka_AdminOptions_set_operation_timeout(options, patience, words, size);
            let queue = native::rd_kafka_queue_new(self.native());
            native::rd_kafka_CreateTopics(self.native(), &mut topic, 1, options, queue);
            let result = created(queue, limit + Duration::from_secs(1));
            native::rd_kafka_queue_destroy(queue);
            native::rd_kafka_AdminOptions_destroy(options);
            native::rd_kafka_NewTopic_destroy(topic);
            result
        }
    }
}

impl<L: Listener> Drop for Producer<L> {
    fn drop(&mut self) {
        self.client
            .context()
            .stopping
            .store(true, Ordering::Release);
        // SAFETY: the handle is valid until the client is dropped, after this; the polling thread has ended by then.
        unsafe {
            rd_kafka_purge(self.native(), native::RD_KAFKA_PURGE_F_QUEUE);
            rd_kafka_flush(self.native(), milliseconds(ANSWERS));
            let flags = native::RD_KAFKA_PURGE_F_QUEUE | native::RD_KAFKA_PURGE_F_INFLIGHT;
            rd_kafka_purge(self.native(), flags);
            // What the purge has made ready is reported.
            rd_kafka_flush(self.native(), milliseconds(LAST_FLUSH));
            native::rd_kafka_queue_yield(self.queue);
        }
        if let Some(polling) = self.polling.take() {
            // A callback does not panic, and there would be nothing to do about it.
            let _ = polling.join();
        }
        // SAFETY: nobody polls it any more.
        unsafe { native::rd_kafka_queue_destroy(self.queue) };
    }
}

fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

/// # Safety
/// `metadata` is valid.
unsafe fn read_metadata(
    metadata: *const native::rd_kafka_metadata,
    topic: &CStr,
) -> Option<TopicMetadata> {
    // SAFETY: librdkafka's arrays are as long as the counts beside them. The structs hold codes in fields of the enum's type: they are
    // never looked at through a reference, and the codes are read as integers.
    unsafe {
        let count = usize::try_from((*metadata).topic_cnt).unwrap_or(0);
        let mut topics = (0..count).map(|index| (*metadata).topics.add(index));
        let found = topics.find(|found| CStr::from_ptr((**found).topic) == topic)?;
        let count = usize::try_from((*found).partition_cnt).unwrap_or(0);
        let partitions = (0..count).map(|index| (*found).partitions.add(index));
        let short = partitions.filter(|partition| {
            (**partition).leader < 0 || (**partition).isr_cnt < (**partition).replica_cnt
        });
        Some(TopicMetadata {
            code: Code((&raw const (*found).err).cast::<c_int>().read()),
            partitions: count,
            short: short.count(),
        })
    }
}

/// Waits for the result of a creation.
///
/// # Safety
/// `queue` is valid, and one creation of one topic answers to it.
unsafe fn created(
    queue: *mut native::rd_kafka_queue_t,
    limit: Duration,
) -> Result<(), (Code, String)> {
    // SAFETY: the event is valid until it is destroyed, and its strings and results with it.
    unsafe {
        let event = native::rd_kafka_queue_poll(queue, milliseconds(limit));
        let Some(event) = NonNull::new(event) else {
            let code = Code::LOCAL_TIMED_OUT;
            return Err((code, code.to_string()));
        };
        let words = |words: *const c_char, code: c_int| match words.is_null() {
            true => Code(code).to_string(),
            false => CStr::from_ptr(words).to_string_lossy().into_owned(),
        };
        let code = rd_kafka_event_error(event.as_ptr());
        let mut result = match code {
            0 => Ok(()),
            code => {
                let text = native::rd_kafka_event_error_string(event.as_ptr());
                Err((Code(code), words(text, code)))
            }
        };
        let topics = native::rd_kafka_event_CreateTopics_result(event.as_ptr());
        if code == 0 && !topics.is_null() {
            let mut count = 0;
            let topics = native::rd_kafka_CreateTopics_result_topics(topics, &mut count);
            for index in 0..count {
                let topic = *topics.add(index);
                let code = rd_kafka_topic_result_error(topic);
                if code != 0 {
                    let text = native::rd_kafka_topic_result_error_string(topic);
                    result = Err((Code(code), words(text, code)));
                }
            }
        }
        native::rd_kafka_event_destroy(event.as_ptr());
        result
    }
}

/// What is behind librdkafka's opaque pointer, which rdkafka sets to the context.
///
/// # Safety
/// `opaque` is that pointer, and the client lives.
unsafe fn context<'l, L: Listener>(opaque: *mut c_void) -> &'l Context<L> {
    // SAFETY: as the caller promises.
    unsafe { &*opaque.cast::<Context<L>>() }
}

/// # Safety
/// As for `context`.
unsafe fn listener<'l, L: Listener>(opaque: *mut c_void) -> &'l L {
    // SAFETY: as the caller promises.
    unsafe { &context::<L>(opaque).listener }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text<'t>(text: *const c_char) -> std::borrow::Cow<'t, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

unsafe extern "C" fn on_delivered<L: Listener>(
    _: *mut native::rd_kafka_t,
    message: *const native::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: the message is valid during the call, and its code is read as an integer.
    unsafe {
        let code = (&raw const (*message).err).cast::<c_int>().read();
        let result = match code {
            0 => Ok(((*message).partition, (*message).offset)),
            code => Err(Code(code)),
        };
        listener::<L>(opaque).delivered(&Delivered {
            opaque: (*message)._private as usize,
            result,
            broker: native::rd_kafka_message_broker_id(message),
        });
    }
}

unsafe extern "C" fn on_error<L: Listener>(
    _: *mut native::rd_kafka_t,
    code: c_int,
    words: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka's strings are valid during the call.
    unsafe { listener::<L>(opaque).error(Code(code), text(words).trim()) };
}

unsafe extern "C" fn on_log<L: Listener>(
    rk: *const native::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    words: *const c_char,
) {
    // SAFETY: logs are passed on by the polling thread (`log.queue`), so that the handle is complete, and its opaque pointer set.
    unsafe {
        let opaque = native::rd_kafka_opaque(rk);
        listener::<L>(opaque).log(level_of(level), text(facility).trim(), text(words).trim());
    }
}

unsafe extern "C" fn on_statistics<L: Listener>(
    _: *mut native::rd_kafka_t,
    json: *mut c_char,
    size: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka's bytes are valid during the call.
    unsafe { listener::<L>(opaque).statistics(std::slice::from_raw_parts(json.cast(), size)) };
    // It is librdkafka that frees them.
    0
}

/// Called on the broker's own thread, before it connects.
unsafe extern "C" fn on_socket<L: Listener>(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the client lives as long as its brokers' threads.
    let context = unsafe { context::<L>(opaque) };
    let ends = || context.stopping.load(Ordering::Acquire);
    context.listener.pace().wait(ends);
    let socket = Socket::new(domain.into(), kind.into(), Some(protocol.into()));
    // The error is in `errno`, where librdkafka looks for it.
    socket.map_or(-1, IntoRawFd::into_raw_fd)
}

unsafe extern "C" fn on_new<L: Listener>(
    rk: *mut native::rd_kafka_t,
    _: *const native::rd_kafka_conf_t,
    _: *mut c_void,
    _: *mut c_char,
    _: usize,
) -> c_int {
    // SAFETY: the handle is as complete as interceptors want it; its opaque pointer was set with the configuration.
    unsafe {
        let (name, opaque) = (c"icr-bridge".as_ptr(), native::rd_kafka_opaque(rk));
        rd_kafka_interceptor_add_on_broker_state_change(rk, name, on_state::<L>, opaque);
        rd_kafka_interceptor_add_on_response_received(rk, name, on_response::<L>, opaque)
    }
}

unsafe extern "C" fn on_state<L: Listener>(
    _: *mut native::rd_kafka_t,
    _: i32,
    _: *const c_char,
    name: *const c_char,
    port: c_int,
    state: *const c_char,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka's strings are valid during the call, which is made on the broker's own thread.
    unsafe { listener::<L>(opaque).connection(&format!("{}:{port}", text(name)), &text(state)) };
    0
}

unsafe extern "C" fn on_response<L: Listener>(
    _: *mut native::rd_kafka_t,
    _: c_int,
    _: *const c_char,
    broker: i32,
    request: i16,
    _: i16,
    _: i32,
    _: usize,
    _: i64,
    code: c_int,
    opaque: *mut c_void,
) -> c_int {
    if request == PRODUCE && Code(code) == Code::LOCAL_TRANSPORT {
        // SAFETY: as above.
        unsafe { listener::<L>(opaque).hung_up(broker) };
    }
    0
}

fn level_of(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=0 => RDKafkaLogLevel::Emerg,
        1 => RDKafkaLogLevel::Alert,
        2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}
