//! Who sent a delivery, as far as shares are concerned.

use std::net::{IpAddr, Ipv6Addr};

/// The other end of a connection: an IPv4 address, or the /64 in which an IPv6 address stands, since anybody who has one address
/// there has 2⁶⁴. What a proxy says of the address behind it is not believed: a header can be forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer([u8; 16]);

impl Peer {
    /// How many bytes stand for a peer on disk.
    pub(super) const LENGTH: usize = 16;

    /// The peer at an address; one whose address is not known shares with all such.
    pub fn of(address: Option<IpAddr>) -> Self {
        let address = match address.map(|address| address.to_canonical()) {
            None => Ipv6Addr::UNSPECIFIED,
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
            Some(IpAddr::V6(address)) => {
                let prefix = u128::from(address) >> 64 << 64;
                Ipv6Addr::from(prefix)
            }
        };
        Self(address.octets())
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_ipv4_address_is_a_peer_however_it_is_written() {
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
    }

    #[test]
    fn all_ipv6_addresses_of_a_64_are_one_peer() {
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_ne!(peer("2001:db8::1"), Peer::of(None));
    }
}
