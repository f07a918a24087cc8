package members

// advisoriesAsOf is the day on which the table was compared with its sources: golang/vulndb
// (data/osv and data/excluded), etcd's CHANGELOG-3.x files and the blog of etcd.io.
const advisoriesAsOf = "2026-11-20"

// scope says whom an advisory concerns.
type scope string

const (
	controlPlane scope = "of any cluster, a Kubernetes control plane included"
	rbacOnly     scope = "only where etcd's authentication is on"
)

// advisory is one published flaw.
type advisory struct {
	id       string
	summary  string
	scope    scope
	affected []span
}

// branch is a minor release and its support.
type branch struct {
	name      string
	span      span
	endOfLife string // the day, or empty
	newest    string // the last release known, of a branch that has fixes
}

func branches() []branch {
	return []branch{
		{name: "3.3 or older", span: span{before: "3.4.0"}, endOfLife: "2021-06-15"},
		{name: "3.4", span: span{from: "3.4.0", before: "3.5.0"}, endOfLife: "2026-06-01"},
		{name: "3.5", span: span{from: "3.5.0", before: "3.6.0"}, newest: "3.5.35"},
		{name: "3.6", span: span{from: "3.6.0", before: "3.7.0"}, newest: "3.6.16"},
		{name: "3.7", span: span{from: "3.7.0", before: "3.8.0"}, newest: "3.7.3"},
	}
}

func upTo(fixed string) span          { return span{before: fixed, fixed: true} }
func between(from, fixed string) span { return span{from: from, before: fixed, fixed: true} }

// unfixed is of branch 3.4, which ends without a fix.
func unfixed(from string) span { return span{from: from, before: "3.5.0"} }

// advisories are all that concern etcd itself, the newest first. Those of its dependencies
// are in it where a release was made for them.
func advisories() []advisory {
	return []advisory{
		{
			id: "CVE-2026-73500", summary: "no deadline on TLS handshakes, memory exhausted before authentication (GHSA-6vch-q96h-7gc3)", scope: controlPlane,
			affected: []span{unfixed(""), between("3.5.0", "3.5.33"), between("3.6.0", "3.6.14"), between("3.7.0", "3.7.1")},
		},
		{
			id: "CVE-2026-73499", summary: "an open-ended watch bypasses RBAC (GHSA-xg4h-6gfc-h4m8)", scope: rbacOnly,
			affected: []span{unfixed(""), between("3.5.0", "3.5.33"), between("3.6.0", "3.6.14"), between("3.7.0", "3.7.1")},
		},
		{
			id: "GHSA-hrxh-6v49-42gf", summary: "flaws of grpc-go before 1.82.1 in its HTTP/2 server", scope: controlPlane,
			affected: []span{unfixed(""), between("3.5.0", "3.5.33"), between("3.6.0", "3.6.14"), between("3.7.0", "3.7.1")},
		},
		{
			id: "GHSA-3wh4-j44w-pg92", summary: "revoked certificates are accepted over gRPC where --listen-client-http-urls is set", scope: controlPlane,
			affected: []span{unfixed("3.4.25"), between("3.5.8", "3.5.32"), between("3.6.0", "3.6.13")},
		},
		{
			id: "CVE-2026-44283", summary: "PrevKv and leases in a nested Put bypass RBAC (GHSA-x35m-3gp4-4fh5)", scope: rbacOnly,
			affected: []span{upTo("3.4.44"), between("3.5.0", "3.5.30"), between("3.6.0", "3.6.11")},
		},
		{
			id: "CVE-2026-33413", summary: "MemberList, Alarm, Lease and Compact without authentication (GHSA-q8m4-xhhv-38mg)", scope: rbacOnly,
			affected: []span{upTo("3.4.42"), between("3.5.0", "3.5.28"), between("3.6.0", "3.6.9")},
		},
		{
			id: "CVE-2026-33343", summary: "a nested Txn bypasses RBAC (GHSA-rfx7-8w68-q57q)", scope: rbacOnly,
			affected: []span{upTo("3.4.42"), between("3.5.0", "3.5.28"), between("3.6.0", "3.6.9")},
		},
		{
			id: "CVE-2026-33186", summary: "a :path without slash bypasses authorisation by method in grpc-go", scope: rbacOnly,
			affected: []span{upTo("3.4.42"), between("3.5.0", "3.5.28"), between("3.6.0", "3.6.9")},
		},
		{
			id: "CVE-2023-44487", summary: "HTTP/2 rapid reset exhausts the server", scope: controlPlane,
			affected: []span{upTo("3.4.28"), between("3.5.0", "3.5.10")},
		},
		{
			id: "CVE-2023-32082", summary: "LeaseTimeToLive tells key names (GHSA-3p4g-rcw5-8298)", scope: rbacOnly,
			affected: []span{upTo("3.4.26"), between("3.5.0", "3.5.9")},
		},
		{
			id: "CVE-2021-28235", summary: "the password stays in debug data (GHSA-gmph-wf7j-9gcm)", scope: rbacOnly,
			affected: []span{upTo("3.4.25"), between("3.5.0", "3.5.8")},
		},
		{
			id: "GHSA-5x4g-q5rc-36jp", summary: "insecure TLS suites by default", scope: controlPlane,
			affected: []span{between("3.2.22", "3.4.22")},
		},
		{
			id: "CVE-2020-15106", summary: "a crafted WAL panics the member (GHSA-p4g4-wgrh-qrg2)", scope: controlPlane,
			affected: []span{upTo("3.3.23"), between("3.4.0", "3.4.10")},
		},
		{
			id: "CVE-2020-15112", summary: "a crafted WAL panics the member (GHSA-m332-53r6-2w93)", scope: controlPlane,
			affected: []span{upTo("3.3.23"), between("3.4.0", "3.4.10")},
		},
		{
			id: "CVE-2020-15113", summary: "the mode of an existing data dir is not verified (GHSA-chh6-ppwq-jh92)", scope: controlPlane,
			affected: []span{upTo("3.3.23"), between("3.4.0", "3.4.10")},
		},
		{
			id: "CVE-2018-16886", summary: "the gateway takes the server certificate's CN for the user (GHSA-h6xx-pmxh-3wgp)", scope: rbacOnly,
			affected: []span{between("3.2.0", "3.2.26"), between("3.3.0", "3.3.11")},
		},
		{
			id: "CVE-2018-1098", summary: "cross-site requests and DNS rebinding on the HTTP API (with CVE-2018-1099)", scope: controlPlane,
			affected: []span{upTo("3.4.0")},
		},
	}
}
