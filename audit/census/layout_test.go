package census_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit/census"
)

// The keys of Kubernetes are those of its own test of where each resource is stored
// (kubernetes/kubernetes test/integration/etcd/data.go, v1.36.3).
func TestLayoutObject(t *testing.T) {
	for _, c := range []struct{ key, resource, namespace, name string }{
		{"/registry/secrets/ns/secret1", "secrets", "ns", "secret1"},
		{"/registry/configmaps/ns/cm1", "configmaps", "ns", "cm1"},
		{"/registry/services/specs/ns/service1", "services", "ns", "service1"},
		{"/registry/services/endpoints/ns/ep1", "endpoints", "ns", "ep1"},
		{"/registry/minions/node1", "nodes", "", "node1"},
		{"/registry/controllers/ns/rc1", "replicationcontrollers", "ns", "rc1"},
		{"/registry/namespaces/namespace1", "namespaces", "", "namespace1"},
		{"/registry/events/ns/event1", "events", "ns", "event1"},
		{"/registry/deployments/ns/d4", "deployments.apps", "ns", "d4"},
		{"/registry/horizontalpodautoscalers/ns/hpa2", "horizontalpodautoscalers.autoscaling", "ns", "hpa2"},
		{"/registry/cronjobs/ns/c", "cronjobs.batch", "ns", "c"},
		{"/registry/certificatesigningrequests/csr2", "certificatesigningrequests.certificates.k8s.io", "", "csr2"},
		{"/registry/clustertrustbundles/example.com:signer:abcd", "clustertrustbundles.certificates.k8s.io", "", "example.com:signer:abcd"},
		{"/registry/leases/ns/l", "leases.coordination.k8s.io", "ns", "l"},
		{"/registry/endpointslices/ns/s", "endpointslices.discovery.k8s.io", "ns", "s"},
		{"/registry/ingress/ns/i", "ingresses.networking.k8s.io", "ns", "i"},
		{"/registry/poddisruptionbudgets/ns/p", "poddisruptionbudgets.policy", "ns", "p"},
		{"/registry/flowschemas/f", "flowschemas.flowcontrol.apiserver.k8s.io", "", "f"},
		{"/registry/volumeattachments/v", "volumeattachments.storage.k8s.io", "", "v"},
		{"/registry/clusterroles/system:node", "clusterroles.rbac.authorization.k8s.io", "", "system:node"},
		{"/registry/validatingadmissionpolicies/v", "validatingadmissionpolicies.admissionregistration.k8s.io", "", "v"},
		{"/registry/priorityclasses/p", "priorityclasses.scheduling.k8s.io", "", "p"},
		{"/registry/storageversionmigrations/s", "storageversionmigrations.storagemigration.k8s.io", "", "s"},
		{"/registry/resourceclaims/ns/r", "resourceclaims.resource.k8s.io", "ns", "r"},
		{"/registry/runtimeclasses/r", "runtimeclasses.node.k8s.io", "", "r"},
		{"/registry/storageversions/s", "storageversions.internal.apiserver.k8s.io", "", "s"},
		{"/registry/apiregistration.k8s.io/apiservices/as2.foo.com", "apiservices.apiregistration.k8s.io", "", "as2.foo.com"},
		{"/registry/apiextensions.k8s.io/customresourcedefinitions/x.y.io", "customresourcedefinitions.apiextensions.k8s.io", "", "x.y.io"},
		{"/registry/cr.bar.com/foos/ns/cr1foo", "foos.cr.bar.com", "ns", "cr1foo"},
		{"/registry/custom.fancy.com/pants/cr2pant", "pants.custom.fancy.com", "", "cr2pant"},

		{"/registry/masterleases/10.0.0.1", "masterleases", "", "10.0.0.1"},
		{"/registry/ranges/serviceips", "ranges", "", "serviceips"},
		{"/registry/newthings/ns/n", "newthings", "ns", "n"},
		{"/registry/secrets/ns/a/b", "secrets", "ns", "a/b"},

		{"/kubernetes.io/secrets/ns/s", "secrets", "ns", "s"},
		{"/openshift.io/routes/ns/r", "routes.route.openshift.io", "ns", "r"},
		{"/openshift.io/oauth/accesstokens/t", "oauthaccesstokens.oauth.openshift.io", "", "t"},

		{"/registry/secrets", "", "", ""},
		{"/registry/secrets/", "", "", ""},
		{"/registry/", "", "", ""},
		{"/registry//a/b", "", "", ""},
		{"/registry/services/specs", "", "", ""},
		{"/registryx/secrets/ns/s", "", "", ""},
		{"registry/secrets/ns/s", "", "", ""},
		{"compact_rev_key", "", "", ""},
		{"", "", "", ""},
	} {
		layout := census.DefaultLayout()
		o, ok := layout.Object([]byte(c.key))
		if ok != (c.resource != "") {
			t.Errorf("%s: an object: %t", c.key, ok)
			continue
		}
		if !ok {
			continue
		}
		if got := layout.Resource(o); got != c.resource || string(o.Namespace) != c.namespace || string(o.Name) != c.name {
			t.Errorf("%s: %s %q %q, want %s %q %q", c.key, got, o.Namespace, o.Name, c.resource, c.namespace, c.name)
		}
	}
}

func TestNewLayout(t *testing.T) {
	for written, want := range map[string]string{
		"/registry": "/registry/", "registry": "/registry/", "/a/b/": "/a/b/", "//x/../y": "/y/", "/": "/", "": "/",
	} {
		if got := census.NewLayout(written).Prefixes(); len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, want %q", written, got, want)
		}
	}
}

func FuzzObject(f *testing.F) {
	for _, seed := range []string{"/registry/secrets/a/b", "/registry/a.b/c/d", "/openshift.io/oauth/x/y", "/registry//", "/registry/services/specs/a/b", "x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		layout := census.DefaultLayout()
		o, ok := layout.Object(key)
		if !ok {
			return
		}
		if layout.Resource(o) == "" || !strings.HasSuffix(string(key), string(o.Name)) || !strings.Contains(string(key), "/"+string(o.Namespace)) {
			t.Errorf("%q: %q %q %q", key, layout.Resource(o), o.Namespace, o.Name)
		}
	})
}

// What several tallies counted is what one would have.
func TestTallyMerge(t *testing.T) {
	random := seeded()
	moved := sealed(random, "k-1", 64)
	pairs := []string{
		"/registry/secrets/a/1", sealed(random, "k-1", 64), "/registry/secrets/a/2", sealed(random, "k-2", 64), "/registry/secrets/b/3", moved,
		"/registry/configmaps/a/1", "k8s\x00", "/registry/secrets/b/4", "k8s:enc:", "/registry/minions/n", "{}", "elsewhere", "1",
		"/kubernetes.io/secrets/a/5", sealed(random, "k-3", 64), "/registry/secrets/c/6", moved,
	}
	one := census.NewTally(census.DefaultLayout())
	merged := census.NewTally(census.DefaultLayout())
	forks := []*census.Tally{merged.Fork(), merged.Fork()}
	for i := 0; i < len(pairs); i += 2 {
		one.Add([]byte(pairs[i]), []byte(pairs[i+1]))
		forks[i/2%2].Add([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	for _, f := range forks {
		merged.Merge(f)
	}
	want := one.Census()
	if diff := cmp.Diff(want, merged.Census()); diff != "" {
		t.Errorf("(-one +merged):\n%s", diff)
	}
	if want.Objects != 8 || want.Outside != 1 || want.Copies.Objects != 1 || len(want.Resources) != 3 {
		t.Errorf("got %+v", want)
	}
	if c := census.NewTally(census.DefaultLayout()).WithoutCopies(); c != nil {
		c.Add([]byte(pairs[4]), []byte(moved))
		c.Add([]byte(pairs[16]), []byte(moved))
		if c.Census().Copies.Objects != 0 {
			t.Error("copies were looked for")
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	tally := census.NewTally(census.DefaultLayout())
	key, value := []byte("/registry/secrets/ns/name"), []byte(sealed(seeded(), "k-1", 1024))
	other := []byte("/registry/configmaps/ns/name")
	for range 200 { // names are kept of the first ones only
		tally.Add(key, value)
		tally.Add(other, []byte("k8s\x00"))
	}
	if n := testing.AllocsPerRun(100, func() { tally.Add(key, value) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTally(b *testing.B) {
	tally := census.NewTally(census.DefaultLayout())
	key, value := []byte("/registry/secrets/ns/name"), []byte(sealed(seeded(), "k-1", 1024))
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		value[len(value)-1], value[len(value)-2], value[len(value)-3] = byte(i), byte(i>>8), byte(i>>16)
		tally.Add(key, value)
	}
}
