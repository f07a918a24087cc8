package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// Shared describes how etcd-operator and the Bitnami chart load certificates: one Secret for
// the client port and one for the peer port, which all replicas mount. A certificate in
// them must therefore name every replica.
type Shared struct {
	Style         Style
	Name          string // of the EtcdCluster, or the full name of the release
	Namespace     string
	Replicas      int
	ClusterDomain string // such as cluster.local
}

// The roles that a shared Secret can have.
const (
	roleServer = "server"
	rolePeer   = "peer"
	roleClient = "client"
)

func sharedRole(r Ref) string {
	switch {
	case !r.Member():
		return roleClient
	case r.Role == roleServer || r.Role == rolePeer:
		return r.Role
	}
	return "" // the gateway's client certificate, which neither mounts
}

// Choose returns the leaves that the style mounts, at most one for each role.
func (s Shared) Choose(refs []Ref) ([]Ref, error) {
	var chosen []Ref
	byRole := map[string]Ref{}
	for _, r := range refs {
		role := sharedRole(r)
		if role == "" {
			continue
		}
		if role == roleClient && s.Style == StyleBitnami {
			return nil, fmt.Errorf("the chart does not mount the Secret of a client, such as %s; export clients with --style %s", r.Name, StyleTLS)
		}
		if other, twice := byRole[role]; twice {
			return nil, fmt.Errorf("all replicas mount the same Secret of the %s, but %s and %s are two leaves: name the one whose certificate names every replica", role, other.Name, r.Name)
		}
		byRole[role] = r
		chosen = append(chosen, r)
	}
	return chosen, nil
}

// SecretName returns the name that a leaf's Secret must have for the style. etcd-operator has
// fixed names (etcd-io/etcd-operator, internal/controller/utils.go, getServerCertName and the
// two functions next to it). The names of the chart are values:
// auth.client.existingSecret, which is the server's, and auth.peer.existingSecret.
func (s Shared) SecretName(r Ref) string {
	return s.Name + "-" + sharedRole(r) + "-tls"
}

// replicaNames returns the DNS names of the replicas on the port of a role.
func (s Shared) replicaNames(role string) []string {
	zone := s.Namespace + ".svc." + s.ClusterDomain
	service := s.Name
	var names []string
	if s.Style == StyleBitnami {
		// The StatefulSet's service, and the one that every member advertises as well
		// (bitnami/charts, bitnami/etcd/templates/statefulset.yaml).
		const most = 63
		service += "-headless"
		service = strings.TrimSuffix(service[:min(len(service), most)], "-")
		if role == roleServer {
			names = append(names, s.Name+"."+zone)
		}
	}
	for i := range s.Replicas {
		names = append(names, fmt.Sprintf("%s-%d.%s.%s", s.Name, i, service, zone))
	}
	return names
}

// ReplicasError reports a certificate that all replicas would mount and that does not name
// them all.
type ReplicasError struct {
	Leaf    string
	Missing []string // DNS names of replicas
}

func (e *ReplicasError) Error() string {
	return fmt.Sprintf("every replica would mount %s, which is not valid for %s", e.Leaf, summarize(e.Missing))
}

// Check refuses a certificate that does not name every replica: peers and clients would refuse
// the replicas that it does not name. The warnings name other weaknesses.
func (s Shared) Check(l Leaf) (warnings []string, err error) {
	role := sharedRole(l.Ref)
	if role == roleClient {
		return nil, nil
	}
	var missing []string
	for _, name := range s.replicaNames(role) {
		if l.Cert().VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, &ReplicasError{Leaf: l.Name, Missing: missing}
	}
	if role == roleServer && !l.mayBeClient() {
		warnings = append(warnings, s.clientWarning(l))
	}
	return warnings, nil
}

// clientWarning warns of a server certificate that is not valid for clients. Both may
// present the server's certificate to etcd as a client's. Some versions of etcd-operator
// dial members with it and others with the client's Secret (etcd-io/etcd-operator,
// internal/controller/utils.go, buildClientTLSConfig; docs/design/tls-and-cluster-access.md
// names the former as a fault). The chart's readiness probe does it (bitnami/containers,
// bitnami/etcd/3.6, healthcheck.sh, and etcdctl_auth_norbac_flags in libetcd.sh).
func (s Shared) clientWarning(l Leaf) string {
	if s.Style == StyleBitnami {
		return fmt.Sprintf("the readiness probe of the Bitnami image presents %s as a client certificate, but it is only a server certificate: with auth.client.enableAuthentication, set customReadinessProbe", l.Name)
	}
	return fmt.Sprintf("members refuse versions of etcd-operator that dial them with Secret %s: %s is not a client certificate", s.SecretName(l.Ref), l.Name)
}

// Validate checks the options of the operator. Its errors name the flags.
func (s Shared) Validate() error {
	if !slices.Contains(Styles(), s.Style) {
		return fmt.Errorf("--style %s: unknown style; see --help", s.Style)
	}
	if err := CheckLabel(s.Namespace); err != nil {
		return fmt.Errorf("--namespace: %w", err)
	}
	if s.Style == StyleTLS && s.Name != "" {
		return fmt.Errorf("--name is for --style %s and %s", StyleEtcdOperator, StyleBitnami)
	}
	if s.Name != "" {
		if err := CheckLabel(s.Name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	if s.Replicas < 1 {
		return fmt.Errorf("--replicas %d: want at least 1", s.Replicas)
	}
	if domain, err := cluster.ParseAddress(s.ClusterDomain); err != nil || domain.DNS == "" {
		return fmt.Errorf("--cluster-domain %q: want a DNS name such as cluster.local", s.ClusterDomain)
	}
	return nil
}
