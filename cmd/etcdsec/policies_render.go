package main

import (
	"bytes"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// policiesRenderFlags hold the flags as the operator wrote them.
type policiesRenderFlags struct {
	spec    string
	backend string
	strict  bool
	node    string
}

func newPoliciesRenderCommand(a *app) *cobra.Command {
	var flags policiesRenderFlags
	cmd := &cobra.Command{
		Use:   "render -f cluster.yaml",
		Short: "Print what isolates etcd, for one backend",
		Long: `Print what isolates the etcd of a spec on the network: objects to give to kubectl, rules for
nft, a drop-in for systemd. Its comments say why each rule is there, what it needs and in which
order to apply it. Members that are about to join are in it before they are added. Without
--backend, it is that of every one of spec.isolation.backends, in their order.

A backend that would not isolate this etcd is refused, with the reason and those that would. A
NetworkPolicy for members on the host network is taken by every API server, and does nothing.

SSH and the API server's port are in no rule. The cilium form leaves etcd's ports to the hosts of
all nodes; --strict shuts out those of other nodes by their labels, which spec.isolation.memberNodes
names and which Cilium has to be told to know. The nftables of a member's host are about who comes
in and what it forwards, and those of every other node, --node NAME, about what that forwards.

Reads the spec; writes to stdout only; uses no network and applies nothing.`,
		Example: `  etcdsec policies render --backend calico -f cluster.yaml > etcd-calico.yaml
  etcdsec policies render --backend cilium --strict -f cluster.yaml | kubectl apply --dry-run=server -f -
  etcdsec policies render --backend nftables --node worker-7 -f cluster.yaml > etcdsec.nft
  etcdsec policies render -f cluster.yaml`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return flags.run(a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesRenderFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	backendFlag(cmd, &f.backend)
	cmd.Flags().BoolVar(&f.strict, "strict", false, "of cilium, the form that needs its nodeSelectorLabels")
	cmd.Flags().StringVar(&f.node, "node", "", "of nftables, `name` of the member or node whose rules are meant (default: a member's host)")
}

func (f *policiesRenderFlags) run(a *app) error {
	backends, err := backendsFlag(f.backend)
	if err != nil {
		return err
	}
	intent, err := a.loadIntent(f.spec)
	if err != nil {
		return err
	}
	if len(backends) == 0 {
		backends = intent.Backends
	}
	if f.strict && !slices.Contains(backends, cluster.BackendCilium) {
		return usageError(errors.New("--strict is a form of cilium, which is not among the backends"), "etcdsec policies render --backend cilium --strict -f "+f.spec)
	}
	options := policies.RenderOptions{CiliumStrict: f.strict, OtherNode: f.node != "" && !intent.NodeFilter(f.node).Member}
	// All or nothing: half of an isolation must not look like one.
	var out bytes.Buffer
	for _, backend := range backends {
		rendered, err := policies.Render(intent, backend, options)
		if err != nil {
			return refusalError(err, f.spec)
		}
		out.Write(rendered.Text)
	}
	if len(backends) > 1 {
		a.narrate("%d backends, one behind the other; --backend prints one", len(backends))
	}
	_, err = a.stdout.Write(out.Bytes())
	return err
}
