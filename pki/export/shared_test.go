package export

import (
	"strings"
	"testing"
)

// replicas are one member with the DNS names of three Pods, as both layouts have them.
const replicas = `
      - name: etcd
        addresses:
          - prod-0.prod.etcd.svc.cluster.local
          - prod-1.prod.etcd.svc.cluster.local
          - prod-2.prod.etcd.svc.cluster.local
          - prod.etcd.svc.cluster.local
          - prod-0.prod-headless.etcd.svc.cluster.local
          - prod-1.prod-headless.etcd.svc.cluster.local
          - prod-2.prod-headless.etcd.svc.cluster.local
`

func TestSharedCheck(t *testing.T) {
	t.Parallel()
	store := open(t, bootstrap(t, replicas, "", testNow()))
	operator := Shared{Style: StyleEtcdOperator, Name: "prod", Namespace: "etcd", Replicas: 3, ClusterDomain: "cluster.local"}
	chart := operator
	chart.Style = StyleBitnami
	cases := []struct {
		name    string
		leaf    string
		shared  func(Shared) Shared
		missing []string // the names that the certificate lacks, in the operator's and the chart's form
	}{
		{"all named, server", "etcd/server", func(s Shared) Shared { return s }, nil},
		{"all named, peer", "etcd/peer", func(s Shared) Shared { return s }, nil},
		{"a client is reached by nobody", "clients/auditor", func(s Shared) Shared { s.Name = "other"; return s }, nil},
		{"fewer", "etcd/peer", func(s Shared) Shared { s.Replicas = 1; return s }, nil},
		{"one more", "etcd/server", func(s Shared) Shared { s.Replicas = 4; return s }, []string{"prod-3.prod.etcd.svc.cluster.local", "prod-3.prod-headless.etcd.svc.cluster.local"}},
		{"another namespace", "etcd/peer", func(s Shared) Shared { s.Namespace = "kube-system"; return s }, []string{"prod-0.prod.kube-system.svc.cluster.local", "prod-2.prod-headless.kube-system.svc.cluster.local"}},
		{"another name", "etcd/server", func(s Shared) Shared { s.Name = "dev"; return s }, []string{"dev-1.dev.etcd.svc.cluster.local", "dev.etcd.svc.cluster.local"}},
		{"another domain", "etcd/server", func(s Shared) Shared { s.ClusterDomain = "example.org"; return s }, []string{"prod-1.prod.etcd.svc.example.org", "prod-1.prod-headless.etcd.svc.example.org"}},
	}
	for _, tc := range cases {
		for i, shared := range []Shared{operator, chart} {
			t.Run(tc.name+" "+string(shared.Style), func(t *testing.T) {
				l := read(t, store, tc.leaf)
				warnings, err := tc.shared(shared).Check(l)
				if tc.missing == nil {
					if err != nil {
						t.Fatal(err)
					}
					// Ours is a certificate for servers only, and both present it as a client's.
					if warned := len(warnings) == 1; warned != (l.Role == "server") {
						t.Errorf("warnings %q", warnings)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tc.missing[i]) {
					t.Errorf("error %v, want that %s is missing", err, tc.missing[i])
				}
			})
		}
	}
}

func TestSharedNames(t *testing.T) {
	t.Parallel()
	// The chart cuts the name of a service after 63 characters.
	long := Shared{Style: StyleBitnami, Name: strings.Repeat("a", 54), Namespace: "n", Replicas: 1, ClusterDomain: "d"}
	if got, want := long.replicaNames(rolePeer)[0], long.Name+"-0."+long.Name+"-headless.n.svc.d"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	long.Name += "a"
	if got, want := long.replicaNames(rolePeer)[0], long.Name+"-0."+long.Name+"-headles.n.svc.d"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSharedChoose(t *testing.T) {
	t.Parallel()
	one := open(t, bootstrap(t, replicas, "    enableGRPCGateway: true\n", testNow()))
	two := open(t, bootstrap(t, twoMembers, "", testNow()))
	cases := []struct {
		name  string
		style Style
		store *Store
		find  []string
		want  string // the Secrets' names
		fault string
	}{
		{"a member, without its gateway's client", StyleBitnami, one, []string{"etcd"}, "prod-server-tls prod-peer-tls", ""},
		{"a member and a client", StyleEtcdOperator, one, []string{"etcd", "auditor"}, "prod-server-tls prod-peer-tls prod-client-tls", ""},
		{"a client alone", StyleEtcdOperator, one, []string{"auditor"}, "prod-client-tls", ""},
		{"one of two members", StyleEtcdOperator, two, []string{"etcd-1"}, "prod-server-tls prod-peer-tls", ""},
		{"two members", StyleEtcdOperator, two, []string{"etcd-0", "etcd-1"}, "", "etcd-0/server and etcd-1/server are two"},
		{"two clients", StyleEtcdOperator, one, []string{"auditor", "healthcheck"}, "", "clients/auditor and clients/healthcheck are two"},
		{"a client for the chart", StyleBitnami, one, []string{"etcd", "auditor"}, "", "the chart does not mount the Secret of a client"},
		{"the gateway's client alone", StyleBitnami, one, []string{"etcd/gateway-client"}, "", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var refs []Ref
			for _, name := range tc.find {
				found, err := tc.store.Find(name)
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, found...)
			}
			shared := Shared{Style: tc.style, Name: "prod"}
			chosen, err := shared.Choose(refs)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Fatalf("error %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, r := range chosen {
				names = append(names, shared.SecretName(r))
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
