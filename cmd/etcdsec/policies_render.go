package main

import (
	"bytes"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
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
		Short: "Print the policies that isolate etcd",
		Long: `Print the policies that isolate the etcd of a spec on the network: objects for kubectl, rules for
nft, or a drop-in for systemd. Comments in them say why each rule is there, what it needs, and in
which order to apply it. They let in members that are about to join before these are added. Without
--backend, the policies of all spec.isolation.backends are printed, in their order.

A backend that would not isolate this etcd is refused, with the reason and the backends that would.
For example, every API server accepts a NetworkPolicy for members on the host network, and it has no
effect.

No rule names the ports of SSH and of the API server. Cilium's policies leave etcd's ports open to
the hosts of all nodes. With --strict they shut out other nodes by the labels of
spec.isolation.memberNodes; for that, Cilium must run with nodeSelectorLabels. The nftables rules of
a member's host filter the packets that it receives and forwards. The rules of another node, --node
NAME, filter the packets that it forwards.

Reads the spec; writes to stdout only; uses no network and applies nothing.`,
		Example: `  etcdsec policies render --backend calico -f cluster.yaml > etcd-calico.yaml
  etcdsec policies render --backend cilium --strict -f cluster.yaml |
    kubectl apply --dry-run=server -f -
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
	cmd.Flags().BoolVar(&f.strict, "strict", false, "for backend cilium: shut out other nodes by their labels; needs nodeSelectorLabels")
	cmd.Flags().StringVar(&f.node, "node", "", "for backend nftables: `name` of the member or node of the rules (default: a member's host)")
}

func (f *policiesRenderFlags) run(a *app) error {
	backends, err := parseBackend(f.backend)
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
		return usageError(errors.New("--strict is for the backend cilium, which is not among the backends"), "etcdsec policies render --backend cilium --strict -f "+shellword.Path(f.spec))
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
		a.narrate("printed %d backends, one after the other; --backend prints only one", len(backends))
	}
	_, err = a.stdout.Write(out.Bytes())
	return err
}
