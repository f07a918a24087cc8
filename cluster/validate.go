package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/internal/placeholder"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// New validates a spec and fills in its defaults. The error joins every fault.
func New(config Config) (*Cluster, error) {
	v := validator{source: config.source}
	spec := config.Spec
	if config.APIVersion != APIVersion {
		v.fault("apiVersion", "want %s, got %q", APIVersion, config.APIVersion)
	}
	if config.Kind != Kind {
		v.fault("kind", "want %s, got %q", Kind, config.Kind)
	}
	v.name("metadata.name", config.Metadata.Name)
	c := &Cluster{
		Name:       config.Metadata.Name,
		Etcd:       v.etcd(spec.Etcd, spec.PKI),
		APIServers: v.apiServers(spec.APIServers),
		PKI:        v.pki(spec.PKI),
		Encryption: v.encryption(spec.Encryption),
		Rotation:   v.rotation(spec.Rotation),
	}
	if spec.RBAC.Compaction != "" {
		c.RBAC.Compaction = oneOf(&v, "spec.rbac.compaction", spec.RBAC.Compaction, "", []Compaction{CompactionByEtcd, CompactionByAPIServer})
	}
	c.Clients = v.clients(spec.Clients, c.Etcd.Members, c.PKI.Layout)
	c.commonNames = v.commonNames(spec.Clients, c.Clients, c.Etcd.Members)
	if c.PKI.CRL && c.Etcd.Runtime == Hosted {
		// Hosted members get a configuration file, and its format has no key for a CRL
		// (etcd-io/etcd server/embed/config.go, securityConfig).
		v.fault("spec.pki.crl", "hosted members get a configuration file, which has no setting for a revocation list")
	}
	if c.PKI.Layout == LayoutKubeadm && len(c.Etcd.Members) > 1 && variesByMember(c.Etcd.pkiDir+c.Etcd.dataDir) {
		v.fault("spec.etcd.pkiDir", "kubeadm has one certificatesDir and one dataDir for all its nodes, so they cannot contain {{.Name}}")
	}
	c.PKI.files = v.files(spec.PKI.Files, c.PKI.Layout, c.PKI.Hierarchy, c.Clients)
	c.PKI.files.shared = c.PKI.Hierarchy == Shared
	v.outputs(c.PKI.files, c.Etcd.Members)
	c.nameNodes()
	v.sharedNodes(c)
	v.configFile(c)
	c.Isolation = v.isolation(spec.Isolation, c.Etcd.Runtime)
	if err := errors.Join(v.faults...); err != nil {
		return nil, err
	}
	c.Warnings = warnings(c)
	return c, nil
}

type validator struct {
	source strictyaml.Source
	faults []error
}

func (v *validator) fault(field, format string, a ...any) {
	v.faults = append(v.faults, v.source.Fault(field, format, a...))
}

// name checks a name, which becomes a folder, a CN (at most 64 characters, RFC 5280) and a host
// label.
func (v *validator) name(field, name string) {
	switch {
	case name == "":
		v.fault(field, "is missing")
	case !IsName(name):
		v.fault(field, "%q is not a name: want up to 63 lower-case letters, digits and inner dashes", name)
	}
}

// maxHostName is the length of a CN (RFC 5280, ub-common-name), which a host's name becomes.
const maxHostName = 64

// hostName checks the name of a host, which may also be a domain name: kubeadm gives members the names
// of their nodes.
func (v *validator) hostName(field, name string) {
	if !strings.Contains(name, ".") {
		v.name(field, name)
		return
	}
	switch {
	case checkDNSName(name) != nil:
		v.fault(field, "%q is not a name: want lower-case letters, digits and inner dashes, or a domain name of them", name)
	case len(name) > maxHostName:
		v.fault(field, "%q is longer than the CN of a certificate may be (%d)", name, maxHostName)
	}
}

// IsName reports whether a member, API server or client can have this name.
func IsName(s string) bool { return dnsLabel.MatchString(s) }

func (v *validator) etcd(config EtcdConfig, pki PKIConfig) Etcd {
	e := Etcd{
		Version:           v.version(config.Version),
		Runtime:           oneOf(v, "spec.etcd.runtime", config.Runtime, StaticPod, Runtimes()),
		ClientPort:        v.port("spec.etcd.clientPort", config.ClientPort, 2379),
		PeerPort:          v.port("spec.etcd.peerPort", config.PeerPort, 2380),
		MetricsPort:       v.port("spec.etcd.metricsPort", config.MetricsPort, 2381),
		pkiDir:            v.dir("spec.etcd.pkiDir", config.PKIDir, defaultPKIDir(Layout(pki.Layout))),
		dataDir:           v.dir("spec.etcd.dataDir", config.DataDir, "/var/lib/etcd"),
		EnableGRPCGateway: config.EnableGRPCGateway,
		ExtraNames:        v.extraNames("spec.etcd.extraNames", config.ExtraNames, Hierarchy(pki.Hierarchy)),
	}
	switch config.TLSMinVersion {
	case "", "TLS1.3":
		e.TLSMinVersion = tls.VersionTLS13
	case "TLS1.2":
		e.TLSMinVersion = tls.VersionTLS12
	default:
		v.fault("spec.etcd.tlsMinVersion", "want TLS1.3 or TLS1.2, got %q", config.TLSMinVersion)
	}
	if e.ClientPort == e.PeerPort || e.ClientPort == e.MetricsPort || e.PeerPort == e.MetricsPort {
		v.fault("spec.etcd", "clientPort %d, peerPort %d and metricsPort %d must differ", e.ClientPort, e.PeerPort, e.MetricsPort)
	}
	if len(config.Members) == 0 {
		v.fault("spec.etcd.members", "is empty; a cluster has at least one member")
	}
	hosts := make([]HostConfig, 0, len(config.Members))
	for _, m := range config.Members {
		hosts = append(hosts, HostConfig{Name: m.Name, Addresses: m.Addresses})
	}
	for i, h := range v.hosts("spec.etcd.members", hosts) {
		at, given := fmt.Sprintf("spec.etcd.members[%d]", i), config.Members[i]
		e.Members = append(e.Members, Member{
			Host: h, Joining: given.Joining, Node: v.node(at+".node", given.Node),
			ExtraNames: v.extraNames(at+".extraNames", given.ExtraNames, Hierarchy(pki.Hierarchy)),
		})
	}
	v.folders(e)
	return e
}

// oldestEtcd is the first 3.5 release with --tls-min-version, which every configuration sets.
var oldestEtcd = Version{3, 5, 8}

var versionForm = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})$`)

// ParseVersion parses a release such as "3.6.16".
func ParseVersion(s string) (Version, error) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return Version{}, fmt.Errorf(`want an etcd release such as "3.6.16", got %q`, s)
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // at most four digits
	}
	return Version{n[0], n[1], n[2]}, nil
}

func (v *validator) version(s string) Version {
	version, err := ParseVersion(s)
	if err != nil {
		v.fault("spec.etcd.version", "%v", err)
		return Version{}
	}
	if version.Compare(oldestEtcd) < 0 {
		v.fault("spec.etcd.version", "etcd %s has no setting for the lowest TLS version; want %s or newer", version, oldestEtcd)
	}
	return version
}

func (v *validator) port(field string, given int, otherwise uint16) uint16 {
	switch {
	case given == 0:
		return otherwise
	case given < 1 || given > 65535:
		v.fault(field, "%d is not a port", given)
		return 0
	}
	return uint16(given)
}

func (v *validator) apiServers(config []HostConfig) []Host {
	return v.hosts("spec.apiServers", config)
}

// hosts checks a list of hosts, whose names and addresses must be unique.
func (v *validator) hosts(field string, config []HostConfig) []Host {
	hosts := make([]Host, 0, len(config))
	names, owners := map[string]bool{}, map[Address]string{}
	for i, h := range config {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.hostName(at+".name", h.Name)
		if h.Name != "" && names[h.Name] {
			v.fault(at+".name", "%q is used twice", h.Name)
		}
		names[h.Name] = true
		if len(h.Addresses) == 0 {
			v.fault(at+".addresses", "is empty; the first address is the advertised one")
		}
		host := Host{Name: h.Name}
		for j, s := range h.Addresses {
			here := fmt.Sprintf("%s.addresses[%d]", at, j)
			a, err := ParseAddress(s)
			if err != nil {
				v.fault(here, "%v", err)
				continue
			}
			if owner, taken := owners[a]; taken {
				v.fault(here, "%s is already an address of %q", a, owner)
			}
			owners[a] = h.Name
			host.Addresses = append(host.Addresses, a)
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// defaultClients returns the clients that every cluster has.
func defaultClients() []Client {
	return []Client{
		{Name: "kube-apiserver", Role: RoleKubernetes},
		{Name: "healthcheck", Role: RoleHealthcheck},
		{Name: "auditor", Role: RoleAuditor},
	}
}

// DefaultClientName returns the name of the client that every cluster has for a role, or that of the
// role.
func DefaultClientName(role Role) string {
	for _, c := range defaultClients() {
		if c.Role == role {
			return c.Name
		}
	}
	return string(role)
}

func (v *validator) clients(config []ClientConfig, members []Member, layout Layout) []Client {
	clients := defaultClients()
	if layout != LayoutEtcdsec {
		// Other tools have other names for the same clients; theirs take the defaults' place.
		clients = slices.DeleteFunc(clients, func(c Client) bool {
			return slices.ContainsFunc(config, func(given ClientConfig) bool { return given.Role == string(c.Role) })
		})
	}
	defaults := len(clients)
	seen := map[string]bool{}
	for i, given := range config {
		at := fmt.Sprintf("spec.clients[%d]", i)
		v.name(at+".name", given.Name)
		role := oneOf(v, at+".role", given.Role, "", Roles())
		switch {
		case seen[given.Name]:
			v.fault(at+".name", "%q is used twice", given.Name)
		case slices.ContainsFunc(members, func(m Member) bool { return m.Name == given.Name }):
			// A member's certificate would then log in as this client's etcd user.
			v.fault(at+".name", "%q is also the name of a member; the CN of a certificate is its etcd user", given.Name)
		case given.Name == string(RoleRoot) && role != RoleRoot:
			v.fault(at+".name", `"root" is etcd's superuser; only a client with role root may have that name`)
		}
		seen[given.Name] = true
		standard := slices.IndexFunc(clients[:defaults], func(c Client) bool { return c.Name == given.Name })
		switch {
		case standard < 0:
			clients = append(clients, Client{Name: given.Name, Role: role})
		case clients[standard].Role != role:
			v.fault(at+".role", "%q is a default client with role %s; give another name to a client with role %s", given.Name, clients[standard].Role, role)
		}
	}
	for _, m := range members {
		if slices.ContainsFunc(defaultClients(), func(c Client) bool { return c.Name == m.Name }) {
			v.fault("spec.etcd.members", "%q is the name of a default client; the CN of a certificate is its etcd user", m.Name)
		}
	}
	return clients
}

// commonNames checks the CNs of the spec's clients. A CN is an etcd user, so each has one holder.
func (v *validator) commonNames(config []ClientConfig, clients []Client, members []Member) map[string]string {
	given := map[string]string{}
	for i, client := range config {
		cn, at := client.CommonName, fmt.Sprintf("spec.clients[%d].commonName", i)
		switch {
		case cn == "" || cn == client.Name:
			continue
		case strings.TrimSpace(cn) != cn || strings.ContainsFunc(cn, func(r rune) bool { return !unicode.IsPrint(r) }):
			v.fault(at, "%q has white space around it or characters that cannot be printed", cn)
		case utf8.RuneCountInString(cn) > maxCommonName:
			v.fault(at, "%q is longer than a common name may be (%d)", cn, maxCommonName)
		case cn == string(RoleRoot) && Role(client.Role) != RoleRoot:
			v.fault(at, `"root" is etcd's superuser; only a client with role root may have that CN`)
		case slices.ContainsFunc(members, func(m Member) bool { return m.Name == cn }):
			// A member's certificate would then log in as this client's etcd user.
			v.fault(at, "%q is also the name of a member; the CN of a certificate is its etcd user", cn)
		}
		given[client.Name] = cn
	}
	holders := map[string]string{}
	for _, client := range clients {
		cn, own := given[client.Name]
		if !own {
			cn = client.Name
		}
		if holder, taken := holders[cn]; taken && holder != client.Name {
			at := slices.IndexFunc(config, func(c ClientConfig) bool { return c.CommonName == cn })
			v.fault(fmt.Sprintf("spec.clients[%d].commonName", max(at, 0)), "%q is also the CN of %q; each client needs an etcd user of its own", cn, holder)
		}
		holders[cn] = client.Name
	}
	return given
}

// maxCommonName is the longest CN that X.509 allows (RFC 5280, appendix A.1, ub-common-name).
const maxCommonName = 64

// rotation checks the argument vectors of a rotation, so that a misspelt placeholder is found here
// and not half-way through.
func (v *validator) rotation(config RotationConfig) RotationConfig {
	v.argv("spec.rotation.push", config.Push, "Name", "Address", "Bundle")
	v.argv("spec.rotation.restart", config.Restart, "Name", "Address", "Bundle")
	return config
}

// argv checks an argument vector with placeholders. An argument that is empty is usually a variable
// that was not set when the spec was made.
func (v *validator) argv(field string, argv []string, known ...string) {
	values := map[string]string{}
	for _, name := range known {
		values[name] = "x"
	}
	for i, arg := range argv {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch _, err := placeholder.Expand(arg, values); {
		case err != nil:
			v.fault(at, "%v", err)
		case arg == "":
			v.fault(at, "is empty; remove it, or write the argument")
		case strings.ContainsRune(arg, 0):
			v.fault(at, "has a zero byte, which no program can be given")
		}
	}
}

// oneOf returns a value of a closed list, or otherwise for an empty one.
func oneOf[T ~string](v *validator, field, given string, otherwise T, known []T) T {
	if given == "" && otherwise != "" {
		return otherwise
	}
	if !slices.Contains(known, T(given)) {
		names := make([]string, 0, len(known))
		for _, k := range known {
			names = append(names, string(k))
		}
		v.fault(field, "want one of %s, got %q", strings.Join(names, ", "), given)
	}
	return T(given)
}

func warnings(c *Cluster) []string {
	var w []string
	switch n := len(c.Etcd.Members); {
	case n == 1:
		w = append(w, "spec.etcd.members: only one member: if it is down, so is the cluster, and every restart is an outage")
	case n%2 == 0:
		w = append(w, fmt.Sprintf("spec.etcd.members: %d members survive no more failures than %d members, but fail more often", n, n-1))
	case n > 7:
		w = append(w, fmt.Sprintf("spec.etcd.members: %d members: every write waits for %d of them", n, n/2+1))
	}
	switch c.PKI.Hierarchy {
	case Issuing:
	case Single:
		w = append(w, "spec.pki.hierarchy: single: every rotation of a CA restarts every member; issuing CAs rotate without a restart")
	case Shared:
		w = append(w, "spec.pki.hierarchy: shared: the peer port, which has no RBAC, accepts every client's certificate; issuing and single have two roots")
	}
	if c.Etcd.TLSMinVersion == tls.VersionTLS12 {
		w = append(w, "spec.etcd.tlsMinVersion: TLS1.2: every etcd client since 3.4 supports TLS 1.3")
	}
	return append(w, warnExtraNames(c.Etcd)...)
}
