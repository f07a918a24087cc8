package catalog_test

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// authorityFixtures are about what the ports of a cluster serve and trust side by side.
func authorityFixtures(t *testing.T) []fixture {
	t.Helper()
	fixtures := slices.Concat(uniqueFixtures(t), staleFixtures(t), collisionFixtures(t), sharedKeyFixtures(t))
	for _, check := range []string{"ca-unique", "ca-stale", "ca-name-collision", "cert-shared-key"} {
		fixtures = append(fixtures,
			fixture{check: check, name: "no port of etcd", target: besides(port(audit.APIServer, "192.0.2.1:6443")), verdict: audit.Unknown, evidence: "no port of etcd was asked"},
			fixture{check: check, name: "a member is silent", verdict: audit.Unknown, evidence: "client port 192.0.2.2:2379: ",
				target: besides(listenerOf(t, newFixtureCA(t, day, day), "192.0.2.1:2379"), unheard("192.0.2.2:2379"), trusting(port(audit.APIServer, "192.0.2.1:6443"), name(t, "kubernetes")))},
			fixture{check: check, name: "plaintext", verdict: audit.Skip,
				target: besides(plaintextOnly(audit.Client), plaintextOnly(audit.Peer), trusting(port(audit.APIServer, "192.0.2.1:6443"), name(t, "kubernetes")))},
		)
	}
	return fixtures
}

func uniqueFixtures(t *testing.T) []fixture {
	t.Helper()
	etcd, kubernetes, proxy := name(t, "etcd-ca"), name(t, "kubernetes"), name(t, "front-proxy-ca")
	client := func(names ...[]byte) *audit.Listener { return trusting(port(audit.Client, "192.0.2.1:2379"), names...) }
	peer := func(names ...[]byte) *audit.Listener { return trusting(port(audit.Peer, "192.0.2.1:2380"), names...) }
	api := func(names ...[]byte) *audit.Listener {
		return trusting(port(audit.APIServer, "192.0.2.1:6443"), names...)
	}
	kubelet := func(names ...[]byte) *audit.Listener {
		return trusting(port(audit.Kubelet, "192.0.2.7:10250"), names...)
	}
	open := port(audit.Kubelet, "192.0.2.7:10250")
	open.Handshakes = []audit.Handshake{{Attempt: answered, Presented: audit.NoCertificate, SpokeTLS: true, Version: tls.VersionTLS13}}
	cut := port(audit.Kubelet, "192.0.2.7:10250") // after the certificate, before the request
	cut.Handshakes = []audit.Handshake{{Attempt: ended, Presented: audit.NoCertificate, SpokeTLS: true, Version: tls.VersionTLS12, Chain: chain(t, day, day)}}
	return []fixture{
		{check: "ca-unique", name: "of its own", target: besides(client(etcd), peer(etcd), api(kubernetes, proxy), kubelet(kubernetes)), verdict: audit.Pass, evidence: `etcd trusts "CN=etcd-ca", Kubernetes "CN=`},
		{check: "ca-unique", name: "the cluster's", target: besides(client(kubernetes), peer(etcd), api(kubernetes, proxy)), verdict: audit.Fail, codes: []string{"client-apiserver"}, evidence: "the name does not prove"},
		{check: "ca-unique", name: "the cluster's among others", target: besides(client(etcd, kubernetes), peer(kubernetes), kubelet(kubernetes)), verdict: audit.Fail, codes: []string{"client-kubelet", "peer-kubelet"}},
		{check: "ca-unique", name: "found, and one silent", target: besides(client(kubernetes), unheard("192.0.2.2:2379"), api(kubernetes)), verdict: audit.Fail, codes: []string{"client-apiserver"}},
		{check: "ca-unique", name: "nobody to compare with", target: besides(client(etcd), peer(etcd)), verdict: audit.Skip, evidence: "--apiserver"},
		{check: "ca-unique", name: "system roots", target: besides(client(), api(kubernetes)), verdict: audit.Unknown, evidence: "names no CA"},
		{check: "ca-unique", name: "API server names none", target: besides(client(etcd), api()), verdict: audit.Unknown, evidence: "names no CA"},
		{check: "ca-unique", name: "kubelet asks for none", target: besides(client(etcd), open), verdict: audit.Pass, evidence: "ask for no client certificate"},
		{check: "ca-unique", name: "kubelet cut off", target: besides(client(etcd), cut), verdict: audit.Unknown, evidence: "192.0.2.7:10250"},
		{check: "ca-unique", name: "API server not reached", verdict: audit.Unknown, evidence: "connection refused",
			target: besides(client(etcd), &audit.Listener{Address: "192.0.2.1:6443", Kind: audit.APIServer, Reach: audit.Attempt{State: audit.Refused, Reason: "connection refused"}})},
		{check: "ca-unique", name: "not a name", target: besides(client([]byte{1, 2, 3}), api(kubernetes)), verdict: audit.Pass, evidence: "010203 (not a name)"},
	}
}

func staleFixtures(t *testing.T) []fixture {
	t.Helper()
	was, is := name(t, "was"), name(t, "is")
	client := func(at string, names ...[]byte) *audit.Listener { return trusting(port(audit.Client, at), names...) }
	peer := func(at string, names ...[]byte) *audit.Listener {
		target := trusting(port(audit.Peer, at), names...)
		target.Handshakes[0].Chain = []*x509.Certificate{issuedUnder(t, is)}
		return target
	}
	return []fixture{
		{check: "ca-stale", name: "one each", target: besides(client("192.0.2.1:2379", is), client("192.0.2.2:2379", is), peer("192.0.2.1:2380", was)), verdict: audit.Pass, evidence: `every peer port trusts "CN=was"`},
		{check: "ca-stale", name: "two", target: besides(client("192.0.2.1:2379", is, was), peer("192.0.2.1:2380", is)), verdict: audit.Fail, codes: []string{"client"}, evidence: "trusts 2 CAs"},
		{check: "ca-stale", name: "two of one name", target: besides(client("192.0.2.1:2379", is, is)), verdict: audit.Fail, codes: []string{"client"}},
		{check: "ca-stale", name: "two of the peers", target: besides(peer("192.0.2.1:2380", is, was), peer("192.0.2.2:2380", was, is)), verdict: audit.Fail, codes: []string{"peer"}, evidence: `no member has a certificate from "CN=was"`},
		{check: "ca-stale", name: "a member that was not restarted", target: besides(client("192.0.2.1:2379", is), client("192.0.2.2:2379", was)), verdict: audit.Fail, codes: []string{"client-differs"}, evidence: "192.0.2.2:2379"},
		{check: "ca-stale", name: "half way", target: besides(client("192.0.2.1:2379", is), client("192.0.2.2:2379", is, was)), verdict: audit.Fail, codes: []string{"client", "client-differs"}},
		{check: "ca-stale", name: "found, and one silent", target: besides(client("192.0.2.1:2379", is, was), unheard("192.0.2.2:2379")), verdict: audit.Fail, codes: []string{"client"}},
		{check: "ca-stale", name: "system roots", target: besides(client("192.0.2.1:2379"), peer("192.0.2.1:2380", is)), verdict: audit.Unknown, evidence: "names no CA"},
	}
}

func collisionFixtures(t *testing.T) []fixture {
	t.Helper()
	one, two := newFixtureCA(t, day, day), newFixtureCA(t, day, day) // both "fixture"
	other, err := throwaway.New(throwaway.Config{CommonName: "other", NotBefore: fixtureTime.Add(-day), NotAfter: fixtureTime.Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	issuing := issuingBelow(t, one, throwaway.Config{CommonName: "fixture"})
	withCA := func(ca *throwaway.CA, at string) *audit.Listener {
		target := listenerOf(t, ca, at)
		target.Handshakes[0].Chain = append(target.Handshakes[0].Chain, ca.Certificate())
		return target
	}
	self := port(audit.Peer, "192.0.2.1:2380")
	self.Handshakes[0].Chain = []*x509.Certificate{one.Certificate()}
	twice := trusting(listenerOf(t, one, "192.0.2.1:2379"), one.Certificate().RawSubject, one.Certificate().RawSubject)
	return []fixture{
		{check: "ca-name-collision", name: "one CA", target: besides(listenerOf(t, one, "192.0.2.1:2379"), listenerOf(t, one, "192.0.2.2:2379")), verdict: audit.Pass, evidence: `one CA: "CN=fixture"`},
		{check: "ca-name-collision", name: "two CAs", target: besides(listenerOf(t, one, "192.0.2.1:2379"), listenerOf(t, other, "192.0.2.1:2380")), verdict: audit.Pass, evidence: `"CN=other", "CN=fixture"`},
		{check: "ca-name-collision", name: "two of one name, by key ID", target: besides(listenerOf(t, one, "192.0.2.1:2379"), listenerOf(t, two, "192.0.2.2:2379")), verdict: audit.Fail, codes: []string{"keys"}, evidence: "192.0.2.2:2379"},
		{check: "ca-name-collision", name: "two of one name, by key", target: besides(withCA(one, "192.0.2.1:2379"), withCA(two, "192.0.2.2:2379")), verdict: audit.Fail, codes: []string{"keys"}},
		{check: "ca-name-collision", name: "one given, one not", target: besides(given(listenerOf(t, one, "192.0.2.1:2379"), one), listenerOf(t, two, "192.0.2.1:2380")), verdict: audit.Fail, codes: []string{"keys"}},
		{check: "ca-name-collision", name: "an issuing CA of its root's name", target: besides(given(withCA(issuing, "192.0.2.1:2379"), one)), verdict: audit.Fail, codes: []string{"keys"}},
		{check: "ca-name-collision", name: "self-signed members", target: besides(self, self), verdict: audit.Skip},
		{check: "ca-name-collision", name: "a name twice in the trust", target: besides(twice), verdict: audit.Unknown, evidence: "only its file shows"},
	}
}

func sharedKeyFixtures(t *testing.T) []fixture {
	t.Helper()
	ca, peers := newFixtureCA(t, day, day), newFixtureCA(t, day, day)
	first := listenerOf(t, ca, "192.0.2.1:2379")
	with := func(target *audit.Listener, id uint64) *audit.Listener {
		changed := *target
		changed.MemberID = id
		return &changed
	}
	same := func(kind audit.Kind, at string) *audit.Listener {
		target := port(kind, at)
		target.Handshakes[0].Chain = first.Handshakes[0].Chain
		return target
	}
	// Another certificate of the first one's key: a key is enough to make a request of.
	otherCert := *first.Handshakes[0].Chain[0]
	otherCert.Raw = peers.Certificate().Raw
	peer := port(audit.Peer, "192.0.2.1:2380")
	peer.Handshakes[0].Chain = []*x509.Certificate{&otherCert}
	inSpec := func(targets ...*audit.Listener) *audit.EtcdCluster {
		cluster := besides()
		for _, target := range targets {
			named := *target
			named.ClusterName = "eu"
			cluster.Listeners = append(cluster.Listeners, &named)
		}
		return cluster
	}
	listing := with(first, 1)
	listing.Members = []audit.Member{{ID: 1, ClientURLs: []string{"https://192.0.2.1:2379"}}, {ID: 2, PeerURLs: []string{"https://192.0.2.1:3380"}}}
	return []fixture{
		{check: "cert-shared-key", name: "a key each", target: inSpec(first, listenerOf(t, ca, "192.0.2.2:2379"), listenerOf(t, peers, "192.0.2.1:2380")), verdict: audit.Pass, evidence: "ports compared: 3"},
		{check: "cert-shared-key", name: "two members by ID", target: besides(with(first, 1), with(same(audit.Client, "192.0.2.2:2379"), 2)), verdict: audit.Fail, codes: []string{"members"}},
		{check: "cert-shared-key", name: "two members of a spec", target: inSpec(first, same(audit.Client, "192.0.2.2:2379")), verdict: audit.Fail, codes: []string{"members"}},
		{check: "cert-shared-key", name: "two members of a host by the member list", target: besides(listing, same(audit.Peer, "192.0.2.1:3380")), verdict: audit.Fail, codes: []string{"members"}},
		{check: "cert-shared-key", name: "one member by two addresses", target: besides(with(first, 1), with(same(audit.Client, "192.0.2.100:2379"), 1)), verdict: audit.Pass},
		{check: "cert-shared-key", name: "whose is not known", target: besides(first, same(audit.Client, "192.0.2.100:2379")), verdict: audit.Unknown, evidence: "may belong to one member"},
		{check: "cert-shared-key", name: "one certificate on both ports", target: besides(with(first, 1), same(audit.Peer, "192.0.2.1:2380")), verdict: audit.Pass},
		{check: "cert-shared-key", name: "two certificates of one key", target: besides(with(first, 1), peer), verdict: audit.Fail, codes: []string{"ports"}},
		{check: "cert-shared-key", name: "two certificates of one key, in a spec", target: inSpec(first, peer), verdict: audit.Fail, codes: []string{"ports"}},
	}
}

func besides(listeners ...*audit.Listener) *audit.EtcdCluster {
	return &audit.EtcdCluster{Address: "cluster eu", Now: fixtureTime, Listeners: listeners}
}

// port is a TLS port that asks for a certificate and serves one of a CA of its own.
func port(kind audit.Kind, address string) *audit.Listener {
	return &audit.Listener{Address: address, Kind: kind, Now: fixtureTime, Reach: answered, Handshakes: []audit.Handshake{{
		Attempt: alert, Presented: audit.NoCertificate, SpokeTLS: true, Version: tls.VersionTLS13, CertificateRequested: true,
	}}}
}

func trusting(target *audit.Listener, names ...[]byte) *audit.Listener {
	target.Handshakes[0].AcceptableCAs = names
	return target
}

// member is a client port with a leaf of a CA that it also trusts.
func listenerOf(t *testing.T, ca *throwaway.CA, address string) *audit.Listener {
	t.Helper()
	target := trusting(port(audit.Client, address), ca.Certificate().RawSubject)
	target.Handshakes[0].Chain = []*x509.Certificate{leafOf(t, ca, throwaway.Leaf{})}
	return target
}

func unheard(address string) *audit.Listener {
	return &audit.Listener{Address: address, Kind: audit.Client, Now: fixtureTime, Reach: answered,
		Handshakes: []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}}
}

// name is the raw subject of a CA.
func name(t *testing.T, commonName string) []byte {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: commonName, NotBefore: fixtureTime, NotAfter: fixtureTime.Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	return ca.Certificate().RawSubject
}

// issuedUnder is a leaf of a CA that has this name.
func issuedUnder(t *testing.T, rawSubject []byte) *x509.Certificate {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{RawSubject: rawSubject, NotBefore: fixtureTime.Add(-day), NotAfter: fixtureTime.Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	return leafOf(t, ca, throwaway.Leaf{})
}
