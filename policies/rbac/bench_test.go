package rbac

import (
	"testing"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// One client at one member: what a certificate costs an apply or a verify.
func BenchmarkVerify(b *testing.B) {
	s := start(b, etcdtest.V3_6)
	plan, err := planOf(b, specOf(b, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		b.Fatal(err)
	}
	live := s.live(b)
	live.Narrate = nil
	state, err := live.State(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	one := []Client{s.holder(b, "kube-apiserver")}
	if _, err := live.Apply(b.Context(), plan, state, one); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := live.Verify(b.Context(), plan, state.Members, one); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	c := specOf(b, etcdtest.V3_6)
	for b.Loop() {
		if _, err := NewPlan(c, c.Etcd.Version, ""); err != nil {
			b.Fatal(err)
		}
	}
}
