package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/etcdsec/etcdsec/internal/barrier"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// Server is an API server. It is asked directly, not through a load balancer.
type Server struct {
	Name   string
	Client *kubeapi.Client
}

// loadedConfig is the encryption configuration that an API server reports.
type loadedConfig struct {
	hash   string // "sha256:HEX"; empty if it runs without a configuration
	idHash string // of its identity, the same way
}

const infoMetric = "apiserver_encryption_config_controller_last_config_info{"

// readLoaded reads which configuration a server has loaded. The server sets the metric at its start
// and at each reload (k8s.io/apiserver pkg/server/options/etcd.go and
// encryptionconfig/controller).
func (s Server) readLoaded(ctx context.Context) (loadedConfig, error) {
	text, err := s.Client.Text(ctx, "/metrics")
	if err != nil {
		return loadedConfig{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	var found []loadedConfig
	for line := range strings.Lines(text) {
		labels, is := strings.CutPrefix(line, infoMetric)
		if !is {
			continue
		}
		labels, value, _ := strings.Cut(labels, "}")
		if strings.TrimSpace(value) != "1" {
			continue
		}
		found = append(found, loadedConfig{hash: labelValue(labels, "hash"), idHash: labelValue(labels, "apiserver_id_hash")})
	}
	switch {
	case len(found) > 1:
		return loadedConfig{}, fmt.Errorf("%s reports %d encryption configurations at once", s.Name, len(found))
	case len(found) == 1:
		return found[0], nil
	case !strings.Contains(text, "apiserver_"):
		return loadedConfig{}, fmt.Errorf("%s: /metrics has no metric of an API server", s.Name)
	default:
		return loadedConfig{}, nil
	}
}

// labelValue returns the value of a label of a metric. The values here hold no quotes.
func labelValue(labels, name string) string {
	for pair := range strings.SplitSeq(labels, ",") {
		if value, is := strings.CutPrefix(pair, name+`="`); is {
			return strings.TrimSuffix(value, `"`)
		}
	}
	return ""
}

// ServerState tells how far one API server is in a rotation.
type ServerState struct {
	Name  string `json:"name"`
	Hash  string `json:"hash"`  // of the loaded file; empty if there is none
	Stage Stage  `json:"stage"` // of the loaded file; empty if it is of no stage
	Fault string `json:"fault"` // why Hash and Stage are unknown; empty if they are known

	idHash string
}

// askServers asks all API servers at once what they have loaded.
func (r *Rotation) askServers(ctx context.Context, p *Plan) []ServerState {
	states := make([]ServerState, len(r.Servers))
	var wg sync.WaitGroup
	for i, s := range r.Servers {
		wg.Go(func() {
			states[i].Name = s.Name
			has, err := s.readLoaded(ctx)
			if err != nil {
				states[i].Fault = err.Error()
				return
			}
			states[i].Hash, states[i].idHash, states[i].Stage = has.hash, has.idHash, p.stageOf(has.hash)
		})
	}
	wg.Wait()
	return states
}

const pollEvery = time.Second

// waitForLoad delivers the file of a stage to every API server that does not have it, and returns when
// each reports that it has loaded it. A step that depends on all servers must wait for that.
func (r *Rotation) waitForLoad(ctx context.Context, p *Plan, stage Stage) error {
	brought := map[string]bool{}
	var states []ServerState
	all := barrier.Barrier{
		Want: fmt.Sprintf("loaded the configuration %q", stage), Within: r.Wait, Every: pollEvery,
		Look: func(ctx context.Context) ([]barrier.Missing, error) {
			states = r.askServers(ctx, p)
			return r.deliverMissing(ctx, p, stage, states, brought)
		},
		Narrate: func(missing []barrier.Missing) {
			r.narrate("waiting for every API server to load the configuration %q: %s", stage, barrier.Reasons(missing))
		},
	}
	err := all.Wait(ctx)
	if late, is := errors.AsType[*barrier.LateError](err); is {
		return fmt.Errorf("within %s not every API server has loaded the configuration %q: %s; no data is lost: run this again when every server is up", late.Within, stage, barrier.Reasons(late.Missing))
	}
	if err != nil {
		return err
	}
	return r.refuseStrangers(ctx, states)
}

// deliverMissing delivers the file of a stage once to each API server that has not loaded it, and
// returns those servers.
func (r *Rotation) deliverMissing(ctx context.Context, p *Plan, stage Stage, states []ServerState, brought map[string]bool) ([]barrier.Missing, error) {
	var missing []barrier.Missing
	for i, s := range states {
		if s.Fault == "" && s.Hash == p.Hashes[stage] {
			continue
		}
		if s.Stage == "" && s.Hash != "" {
			return nil, fmt.Errorf("%s has loaded an encryption configuration that does not belong to this rotation (%s): give it %s", s.Name, s.Hash, r.file(stage))
		}
		missing = append(missing, barrier.Missing{Name: s.Name, Reason: s.explainLag()})
		if !brought[s.Name] && p.Files[stage] != nil {
			if err := r.Deliver(ctx, r.Servers[i], filepath.Join(r.Dir, ConfigName)); err != nil {
				return nil, fmt.Errorf("bringing the configuration %q: %w", stage, err)
			}
			brought[s.Name] = true
		}
	}
	return missing, nil
}

// explainLag returns why the rotation waits for a server.
func (s ServerState) explainLag() string {
	if s.Fault != "" {
		return s.Fault
	}
	if s.Hash == "" {
		return fmt.Sprintf("%s runs without --encryption-provider-config (etcdsec encryption generate prints the flags)", s.Name)
	}
	return fmt.Sprintf("%s has the configuration %s", s.Name, stageName(s.Stage))
}

func stageName(s Stage) string {
	if s == "" {
		return "(unknown)"
	}
	return fmt.Sprintf("%q", s)
}

// refuseStrangers fails if an API server is alive that was not asked: it may write with any key.
// Each keeps a lease (KEP-1965), whose name is the identity that its metrics have as a hash.
func (r *Rotation) refuseStrangers(ctx context.Context, asked []ServerState) error {
	err := kubeapi.List(ctx, r.Servers[0].Client, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", "apiserver.kubernetes.io/identity=kube-apiserver", func(page *coordinationv1.LeaseList) error {
		for _, l := range page.Items {
			if err := r.checkLease(l, asked); err != nil {
				return err
			}
		}
		return nil
	})
	if stranger, is := errors.AsType[*strangerError](err); is {
		return stranger
	}
	if err != nil {
		return fmt.Errorf("looking for other API servers: %w", err)
	}
	return nil
}

// checkLease fails if the API server of a lease is alive and was not asked.
func (r *Rotation) checkLease(l coordinationv1.Lease, asked []ServerState) error {
	if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
		return errors.New("the lease of an API server has no renewTime or no leaseDurationSeconds")
	}
	age := r.Now().Sub(l.Spec.RenewTime.Time)
	if age > time.Duration(*l.Spec.LeaseDurationSeconds)*time.Second {
		return nil
	}
	sum := sha256.Sum256([]byte(l.Name))
	hash := "sha256:" + hex.EncodeToString(sum[:])
	if slices.ContainsFunc(asked, func(s ServerState) bool { return s.idHash == hash || s.idHash == "" && s.Hash == "" }) {
		return nil
	}
	return &strangerError{host: l.Labels["kubernetes.io/hostname"], lease: l.Name, age: age}
}

// strangerError means that an API server runs that was not named.
type strangerError struct {
	host, lease string
	age         time.Duration // since it renewed its lease
}

func (e *strangerError) Error() string {
	return fmt.Sprintf("there is an API server on %s that was not asked (lease kube-system/%s, renewed %s ago): add it to spec.apiServers, or if it is gone for good: kubectl -n kube-system delete lease %[2]s",
		e.host, e.lease, e.age.Round(time.Second))
}
