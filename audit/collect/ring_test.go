package collect_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// ring is a running cluster of members that share their CAs and nothing else.
type ring struct {
	setups  []setup
	sites   []*site
	members []*etcdtest.Member // nil of one that was never started
	clients []*clientv3.Client // root's, of each
}

// startRing starts a member for each setup. With a learner, the last one is added to the
// others as one; unstarted, it is added only.
func startRing(t *testing.T, learner, unstarted bool, files func(t *testing.T, sites []*site), setups ...setup) *ring {
	t.Helper()
	r := &ring{setups: setups}
	first := newSite(t)
	var peers []string
	for i, s := range setups {
		at := first
		if i > 0 {
			at = first.beside(t)
		}
		s.prepareFiles(t, at)
		at.given = first.given // there is one auditor
		r.sites = append(r.sites, at)
		peers = append(peers, fmt.Sprintf("m%d=%s://%s", i, when(s.peer == "plain", "http", "https"), at.peer))
	}
	if files != nil {
		files(t, r.sites)
	}
	voters := len(setups)
	if learner {
		voters--
	}
	r.run(t, 0, peers[:voters])
	r.sites[0].settle(t, r.clients[0], setups[0].metricsTLS(r.sites[0]))
	if !learner {
		return r
	}
	r.until(t, "a learner is added", func(ctx context.Context) bool { // not before the others have been connected for a while
		_, err := r.clients[0].MemberAddAsLearner(ctx, []string{"https://" + r.sites[voters].peer})
		return err == nil
	})
	if unstarted {
		r.members = append(r.members, nil)
		return r
	}
	r.run(t, voters, peers, "--initial-cluster-state=existing")
	r.until(t, "the learner has a name", func(ctx context.Context) bool {
		list, err := r.clients[0].MemberList(ctx)
		return err == nil && list.Members[0].Name != "" && list.Members[len(list.Members)-1].Name != ""
	})
	return r
}

// run starts the members from one on. Of a flag that is given twice, etcd takes the last.
func (r *ring) run(t *testing.T, from int, peers []string, more ...string) {
	t.Helper()
	var configs []etcdtest.Config
	for i := from; i < len(peers); i++ {
		config := r.setups[i].config(r.sites[i], fmt.Sprintf("m%d", i), "")
		config.Args = flags(config.Args, "--initial-cluster="+strings.Join(peers, ","), more)
		configs = append(configs, config)
	}
	r.members = append(r.members, etcdtest.Run(t, configs...)...)
	for i := from; i < len(peers); i++ {
		r.sites[i].waitServing(t)
		r.clients = append(r.clients, r.sites[i].asRoot(t, r.setups[i].scheme(), ""))
	}
}

// until waits for a state of the cluster.
func (r *ring) until(t *testing.T, what string, reached func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !reached(ctx) {
		if ctx.Err() != nil {
			t.Fatal("it did not come about in time that " + what)
		}
	}
}

// running reports whether a member was started and was not stopped.
func (r *ring) running(i int) bool {
	if r.members[i] == nil {
		return false
	}
	select {
	case <-r.members[i].Done():
		return false
	default:
		return true
	}
}

// caughtUp waits until the running members stand at one place of the log.
func (r *ring) caughtUp(t *testing.T) {
	t.Helper()
	r.until(t, "all members stand at one place", func(ctx context.Context) bool {
		var at uint64
		for i, client := range r.clients {
			if !r.running(i) {
				continue
			}
			status, err := client.Status(ctx, client.Endpoints()[0])
			if err != nil || status.RaftIndex != status.RaftAppliedIndex || at != 0 && status.RaftIndex != at {
				return false
			}
			at = status.RaftIndex
		}
		return true
	})
}

// positions are where the running members stand.
func (r *ring) positions(t *testing.T) string {
	t.Helper()
	var all []string
	for i, client := range r.clients {
		if r.running(i) {
			all = append(all, fmt.Sprintf("m%d: %s", i, position(t, client)))
		}
	}
	return strings.Join(all, "\n")
}

// listeners are all ports of the first n members.
func (r *ring) listeners(n int) []collect.Endpoint {
	var all []collect.Endpoint
	for i, at := range r.sites[:n] {
		all = append(all, r.setups[i].endpoints(at)...)
	}
	return all
}

// nameOf names the listener of a result: "m1/client". The cluster is "cluster".
func (r *ring) nameOf(result audit.Result) string {
	for i, at := range r.sites {
		if result.Target == at.client || result.Target == at.peer || result.Target == at.metrics {
			return fmt.Sprintf("m%d/%s", i, result.Kind)
		}
	}
	return string(result.Kind)
}

// moveLeader hands the leadership to another member.
func (r *ring) moveLeader(t *testing.T) {
	t.Helper()
	r.until(t, "a leader is moved", func(ctx context.Context) bool {
		for _, client := range r.clients {
			status, err := client.Status(ctx, client.Endpoints()[0])
			if err != nil || status.Header.MemberId != status.Leader {
				continue
			}
			list, err := client.MemberList(ctx)
			if err != nil {
				continue
			}
			for _, m := range list.Members {
				if m.ID == status.Leader {
					continue
				}
				if _, err := client.MoveLeader(ctx, m.ID); err == nil {
					return true
				}
			}
		}
		return false
	})
}

func quiet() *zap.Logger { return zap.NewNop() }
