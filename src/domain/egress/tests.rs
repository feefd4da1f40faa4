//! Which addresses are refused and permitted, and what for.

use proptest::prelude::*;

use super::*;

fn judge(address: &str) -> Result<(), Refusal> {
    Egress::default().permits(address.parse().unwrap())
}

fn purpose(address: &str) -> &'static str {
    judge(address).unwrap_err().purpose
}

fn allowing(networks: &[&str]) -> Egress {
    let allow = networks.iter().map(|text| text.parse().unwrap()).collect();
    Egress {
        allow,
        deny: Vec::new(),
    }
}

#[test]
fn public_addresses_are_permitted() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
        "2001:200::1",
    ] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
}

#[test]
fn every_special_range_is_refused_from_its_first_to_its_last_address() {
    for (network, expected) in SPECIAL_V4 {
        let first = Egress::default().permits(network.network().into());
        let last = Egress::default().permits(network.broadcast().into());
        assert_eq!(first.unwrap_err().purpose, expected, "{network}");
        // The last address of all is broadcast before it is reserved.
        if network.broadcast() != Ipv4Addr::BROADCAST {
            assert_eq!(last.unwrap_err().purpose, expected, "{network}");
        }
    }
    for (network, _) in SPECIAL_V6 {
        assert!(Egress::default().permits(network.network().into()).is_err());
        if ![TEREDO, SIX_TO_FOUR].contains(&network) {
            let last = network.broadcast().into();
            assert!(Egress::default().permits(last).is_err(), "{network}");
        }
    }
}

#[test]
fn the_metadata_service_of_a_cloud_is_refused() {
    assert_eq!(purpose("169.254.169.254"), "link-local (RFC 3927)");
    assert_eq!(purpose("fd00:ec2::254"), "private (RFC 4193)");
    assert_eq!(
        purpose("100.100.100.200"),
        "shared by carriers for NAT (RFC 6598)"
    );
    assert_eq!(purpose("192.0.0.192"), "kept for protocols (RFC 6890)");
}

#[test]
fn what_a_cloud_gave_a_public_number_is_refused_however_it_is_written() {
    for address in [
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "64:ff9b::168.63.129.16",
    ] {
        assert_eq!(purpose(address), "Azure's own", "{address}");
    }
    for address in ["168.63.129.15", "168.63.129.17", "199.36.153.3"] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
}

#[test]
fn what_is_denied_is_refused_whatever_permits_it() {
    let egress = Egress {
        allow: vec!["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()],
        deny: vec![
            "10.1.0.0/16".parse().unwrap(),
            "8.8.8.8/32".parse().unwrap(),
        ],
    };
    for address in [
        "10.1.2.3",
        "8.8.8.8",
        "::ffff:10.1.2.3",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        let refusal = egress.permits(address.parse().unwrap()).unwrap_err();
        assert!(refusal.denied, "{address}");
        let said = refusal.to_string();
        assert!(
            said.ends_with("in a network that deny_networks names"),
            "{said}"
        );
    }
    for address in ["10.2.0.1", "8.8.4.4", "::ffff:10.2.0.1"] {
        assert_eq!(
            egress.permits(address.parse().unwrap()),
            Ok(()),
            "{address}"
        );
    }
}

#[test]
fn ipv6_that_nobody_was_given_is_refused() {
    for address in ["200::1", "4000::1", "::ffff:0:7f00:1", "fe00::1"] {
        assert_eq!(purpose(address), "not assigned to anyone (RFC 4291)");
    }
    assert_eq!(purpose("::1"), "loopback (RFC 4291)");
    assert_eq!(purpose("::"), "unspecified (RFC 4291)");
}

#[test]
fn what_carries_a_private_address_is_refused_and_says_so() {
    for address in [
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::1",
        "2001:0:808:808:0:0:f5ff:fffe",
        "2001:0:a00:1::f7f7:f7f7",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
    ] {
        let refusal = judge(address).unwrap_err();
        assert_eq!(
            refusal.embedded,
            Some(Ipv4Addr::new(10, 0, 0, 1)),
            "{address}"
        );
    }
    assert!(judge("64:ff9b:1::8.8.8.8").is_err());
    assert!(judge("fe80::5efe:8.8.8.8").is_err());
}

#[test]
fn what_carries_a_public_address_is_permitted() {
    for address in [
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
        "2606:4700::5efe:8.8.8.8",
    ] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
}

#[test]
fn a_refusal_names_the_purpose_and_the_mend() {
    assert_eq!(
        judge("10.0.0.1").unwrap_err().to_string(),
        "10.0.0.1 is private (RFC 1918); add its network to allow_networks to permit it"
    );
    assert_eq!(
        judge("::ffff:127.0.0.1").unwrap_err().to_string(),
        "::ffff:127.0.0.1 leads to 127.0.0.1, which is loopback (RFC 1122); \
         add its network to allow_networks to permit it"
    );
}

#[test]
fn the_allow_list_permits_its_networks_and_nothing_beside_them() {
    let egress = allowing(&["127.0.0.0/8", "fd00::/8"]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
        assert_eq!(
            egress.permits(address.parse().unwrap()),
            Ok(()),
            "{address}"
        );
    }
    for address in ["10.0.0.1", "::1", "fc00::1", "::ffff:10.0.0.1"] {
        assert!(
            egress.permits(address.parse().unwrap()).is_err(),
            "{address}"
        );
    }
}

/// Every way of writing an address that a URL parser may take for a name.
#[test]
fn every_literal_form_is_judged_as_the_address_that_it_is() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.01",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a00:1]",
        "[64:ff9b::a00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0xa9fea9fe",
    ] {
        for scheme in ["http", "https"] {
            let url = Url::parse(&format!("{scheme}://{host}:8080/x")).unwrap();
            assert!(literal(&url.host().unwrap()).is_some(), "{host}");
            assert!(Egress::default().permits_url(&url).is_err(), "{host}");
        }
    }
    let name = Url::parse("https://localhost/").unwrap();
    assert_eq!(Egress::default().permits_url(&name), Ok(()));
    assert!(Url::parse("http://[fe80::1%25eth0]/").is_err());
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        any::<u128>().prop_map(Ipv6Addr::from),
        special().prop_map(|(a, _)| a)
    ]
}

/// An address in one of the listed ranges, and that range.
fn special() -> impl Strategy<Value = (Ipv6Addr, Ipv6Net)> {
    (0..SPECIAL_V6.len(), any::<u128>()).prop_map(|(index, bits)| {
        let network = SPECIAL_V6[index].0;
        let host = bits & u128::from(network.hostmask());
        (
            Ipv6Addr::from(u128::from(network.network()) | host),
            network,
        )
    })
}

proptest! {
    #[test]
    fn a_mapped_address_is_judged_as_what_it_maps(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        let egress = allowing(&["10.0.0.0/8"]);
        let mapped = egress.permits(v4.to_ipv6_mapped().into());
        let plain = egress.permits(v4.into());
        prop_assert_eq!(mapped.map_err(|r| r.purpose), plain.map_err(|r| r.purpose));
    }

    #[test]
    fn whatever_the_allow_list_names_is_permitted(bits: u32, long in any_v6(), prefix in 0u8..=32) {
        let v4 = Ipv4Addr::from(bits);
        let allow = vec![
            Ipv4Net::new(v4, prefix).unwrap().into(),
            Ipv6Net::new(long, prefix * 4).unwrap().into(),
        ];
        let egress = Egress { allow, deny: Vec::new() };
        prop_assert_eq!(egress.permits(v4.into()), Ok(()));
        prop_assert_eq!(egress.permits(long.into()), Ok(()));
    }

    /// An independent reading of the same registries: the standard library's.
    #[test]
    fn what_the_standard_library_calls_special_is_refused(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local()
            || v4.is_broadcast() || v4.is_documentation() || v4.is_multicast()
            || v4.is_unspecified();
        prop_assert!(!special || Egress::default().permits(v4.into()).is_err());
    }

    #[test]
    fn nothing_outside_global_unicast_is_permitted_unless_it_carries_ipv4(long in any_v6()) {
        let refused = Egress::default().permits(long.into()).is_err();
        prop_assert!(GLOBAL_UNICAST.contains(&long) || is_carrier(long) || refused);
    }

    #[test]
    fn what_lies_in_a_listed_range_is_refused_unless_it_carries_ipv4((long, _) in special()) {
        prop_assert!(is_carrier(long) || Egress::default().permits(long.into()).is_err());
    }
}
