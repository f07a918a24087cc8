// Package kube finds what to audit in a Kubernetes cluster: it asks the API server for the
// control-plane nodes and for the Pods that run etcd. It only reads.
package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// Found lists what can be audited in a cluster.
type Found struct {
	Endpoints []collect.Endpoint
	// Settings holds the settings of the etcd Pods, as their objects declare them.
	Settings []*audit.Settings
	// Unread holds what exists but could not be read, such as the Pods that the user may not
	// list.
	Unread []*audit.HostSettings
	// Unseen holds the ports that exist but cannot be dialled.
	Unseen []*audit.Listener
	// Elsewhere names the listeners that only the processes of a node reach.
	Elsewhere []Elsewhere
}

// Elsewhere is a listener that only the processes of a node reach, with the reason.
type Elsewhere struct {
	audit.Fault
	Of *audit.Settings // of who listens
}

// ErrNoEtcd means that the cluster shows no etcd, for example because the control plane is
// managed.
var ErrNoEtcd = errors.New("no Pod runs etcd: etcdsec cannot find the etcd of a managed control plane or of k3s, or an etcd outside the cluster")

// etcdPods returns where distributions keep the Pods of their etcd: kubeadm and its
// relatives, kOps, OpenShift.
func etcdPods() []struct{ namespace, labels string } {
	return []struct{ namespace, labels string }{
		{"kube-system", "component=etcd"},
		{"kube-system", "k8s-app in (etcd-manager-main,etcd-manager-events)"},
		{"openshift-etcd", "k8s-app=etcd"},
	}
}

// controlPlaneLabels returns the labels of a control-plane node: the one since Kubernetes 1.20,
// and the older one.
func controlPlaneLabels() []string {
	return []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
}

// internalIP returns the address of a node inside the cluster; empty if it has none.
func internalIP(n corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && net.ParseIP(a.Address) != nil {
			return a.Address
		}
	}
	return ""
}

// Find lists the cluster's etcd Pods with their listeners, and the ports of the API server and
// the kubelet on each control-plane node. What the user may not list is in Unread or Unseen.
func Find(ctx context.Context, c *kubeapi.Client) (Found, error) {
	f := Found{}
	if err := findPods(ctx, c, &f); err != nil {
		return Found{}, err
	}
	if err := findNodes(ctx, c, &f); err != nil {
		return Found{}, err
	}
	etcd := slices.ContainsFunc(f.Endpoints, func(e collect.Endpoint) bool { return e.Kind == audit.Client })
	if !etcd && len(f.Unread)+len(f.Unseen)+len(f.Elsewhere) == 0 {
		return Found{}, ErrNoEtcd
	}
	return f, nil
}

func findPods(ctx context.Context, c *kubeapi.Client, f *Found) error {
	for _, where := range etcdPods() {
		err := kubeapi.List(ctx, c, "/api/v1/namespaces/"+where.namespace+"/pods", where.labels, func(page *corev1.PodList) error {
			for _, pod := range page.Items {
				f.addPod(c.Context, pod)
			}
			return nil
		})
		if apierrors.IsForbidden(err) {
			f.addUnread("Pods of "+where.namespace, "the user of the kubeconfig may not list them")
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Found) addPod(cluster string, p corev1.Pod) {
	subject, node := "Pod "+p.Name, cmp.Or(p.Spec.NodeName, "no node")
	address := p.Status.HostIP
	if !p.Spec.HostNetwork {
		address = p.Status.PodIP
	}
	// Package host reads the Pods of manifests, which are text.
	object, err := json.Marshal(p)
	if err != nil {
		f.addUnread(subject, err.Error())
		return
	}
	found, err := host.ReadPod(object, p.Spec.NodeName, subject, address)
	if err != nil {
		f.addUnread(subject, err.Error())
		return
	}
	f.Settings = append(f.Settings, found.Settings...)
	for _, u := range found.Unreached {
		if u.Elsewhere {
			f.Elsewhere = append(f.Elsewhere, Elsewhere{audit.Fault{Subject: u.URL, Reason: u.Reason}, u.Of})
			continue
		}
		if port := defaultPort(u); port != 0 && address != "" {
			// The Pod does not tell its port, for example if it has its own configuration file: try the usual one.
			f.add(collect.Endpoint{Address: net.JoinHostPort(address, fmt.Sprint(port)), Kind: u.Kind, Settings: u.Of, ClusterName: cluster})
			continue
		}
		f.addUnseen(node+":"+u.URL, u.Kind, u.Reason, cluster)
	}
	for _, l := range found.Listeners {
		if address == "" {
			f.addUnseen(node+":"+l.Address, l.Kind, subject+" does not run: it has no address (phase "+cmp.Or(string(p.Status.Phase), "unknown")+")", cluster)
			continue
		}
		f.add(collect.Endpoint{Address: l.Address, Kind: l.Kind, ExpectedNames: l.Names, Settings: l.Of, ClusterName: cluster})
	}
}

// defaultPort returns the port where an etcd listens whose settings do not tell it; 0 if they tell something.
func defaultPort(u host.Unreached) int {
	if u.Of == nil || u.URL != u.Of.Origin {
		return 0
	}
	switch u.Kind {
	case audit.Client:
		return 2379
	case audit.Peer:
		return 2380
	default: // a metrics port need not exist
		return 0
	}
}

func findNodes(ctx context.Context, c *kubeapi.Client, f *Found) error {
	for _, label := range controlPlaneLabels() {
		err := kubeapi.List(ctx, c, "/api/v1/nodes", label, func(page *corev1.NodeList) error {
			for _, n := range page.Items {
				f.addNode(c.Context, n)
			}
			return nil
		})
		if apierrors.IsForbidden(err) {
			f.addUnseen("nodes", audit.Kubelet, "the user of the kubeconfig may not list them", c.Context)
			break
		}
		if err != nil {
			return err
		}
	}
	// The API server that answered is one of them; the others are behind the same name.
	f.add(collect.Endpoint{Address: c.Host(), Kind: audit.APIServer, ClusterName: c.Context})
	return nil
}

// defaultKubeletPort is the port of a kubelet that does not report another one.
const defaultKubeletPort = 10250

func (f *Found) addNode(cluster string, n corev1.Node) {
	address := internalIP(n)
	if address == "" {
		f.addUnseen("node "+n.Name, audit.Kubelet, "it has no InternalIP", cluster)
		return
	}
	port := cmp.Or(n.Status.DaemonEndpoints.KubeletEndpoint.Port, defaultKubeletPort)
	f.add(collect.Endpoint{Address: net.JoinHostPort(address, fmt.Sprint(port)), Kind: audit.Kubelet, ClusterName: cluster})
}

// addUnread adds a target that exists but could not be read, unless it is already known.
func (f *Found) addUnread(subject, reason string) {
	if slices.ContainsFunc(f.Unread, func(u *audit.HostSettings) bool { return u.Address == subject }) {
		return
	}
	f.Unread = append(f.Unread, &audit.HostSettings{Address: subject, Unread: reason})
}

// addUnseen adds a port that exists but cannot be dialled.
func (f *Found) addUnseen(address string, kind audit.Kind, reason, cluster string) {
	l := audit.UnseenListener(address, kind, reason)
	l.ClusterName = cluster
	f.Unseen = append(f.Unseen, l)
}

// add adds an endpoint unless its address is already known.
func (f *Found) add(e collect.Endpoint) {
	if !slices.ContainsFunc(f.Endpoints, func(known collect.Endpoint) bool { return known.Address == e.Address }) {
		f.Endpoints = append(f.Endpoints, e)
	}
}
