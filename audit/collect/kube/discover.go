// Package kube finds what is to be audited in a Kubernetes cluster: it asks the API server
// for the control-plane nodes and for the Pods that run etcd. It reads, and never writes.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// Found is what a cluster has to audit.
type Found struct {
	Endpoints []collect.Endpoint
	// Settings are those of the etcd Pods, as their objects declare them.
	Settings []*audit.Settings
	// Unreached says what is there and cannot be audited, and why.
	Unreached []audit.Fault
}

// ErrNoEtcd means that the cluster shows no etcd, as where the control plane is another's.
var ErrNoEtcd = errors.New("no Pod that runs etcd: the etcd of a managed control plane, of k3s, or one outside of the cluster, cannot be found from here")

// etcdPods are where distributions have the Pods of their etcd: kubeadm and its kin, kOps,
// OpenShift.
func etcdPods() []struct{ namespace, labels string } {
	return []struct{ namespace, labels string }{
		{"kube-system", "component=etcd"},
		{"kube-system", "k8s-app in (etcd-manager-main,etcd-manager-events)"},
		{"openshift-etcd", "k8s-app=etcd"},
	}
}

// controlPlane are the labels of a control-plane node: since 1.20, and before.
func controlPlane() []string {
	return []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
}

// node is the part of a Node (k8s.io/api/core/v1) that says where it is.
type node struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Status struct {
		Addresses []struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"addresses"`
		DaemonEndpoints struct {
			KubeletEndpoint struct {
				Port int `json:"Port"`
			} `json:"kubeletEndpoint"`
		} `json:"daemonEndpoints"`
	} `json:"status"`
}

func (n node) internalIP() string {
	for _, a := range n.Status.Addresses {
		if a.Type == "InternalIP" && net.ParseIP(a.Address) != nil {
			return a.Address
		}
	}
	return ""
}

// pod is where a Pod runs; its containers are read by package host.
type pod struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		NodeName    string `json:"nodeName"`
		HostNetwork bool   `json:"hostNetwork"`
	} `json:"spec"`
	Status struct {
		HostIP string `json:"hostIP"`
		PodIP  string `json:"podIP"`
	} `json:"status"`
}

// Find lists the cluster's etcd Pods with their listeners, and the API server's and
// kubelet's port of each control-plane node. A refusal of one list is in Unreached.
func Find(ctx context.Context, c *kubeapi.Client) (Found, error) {
	f := Found{}
	if err := findPods(ctx, c, &f); err != nil {
		return Found{}, err
	}
	if err := findNodes(ctx, c, &f); err != nil {
		return Found{}, err
	}
	etcd := slices.ContainsFunc(f.Endpoints, func(e collect.Endpoint) bool { return e.Kind == audit.Client })
	if !etcd && len(f.Unreached) == 0 {
		return Found{}, ErrNoEtcd
	}
	return f, nil
}

func findPods(ctx context.Context, c *kubeapi.Client, f *Found) error {
	for _, where := range etcdPods() {
		items, err := c.List(ctx, "/api/v1/namespaces/"+where.namespace+"/pods", where.labels)
		if kubeapi.IsStatus(err, http.StatusForbidden) {
			f.Unreached = append(f.Unreached, audit.Fault{Subject: "Pods of " + where.namespace, Reason: "the user of the kubeconfig may not list them"})
			continue
		}
		if err != nil {
			return err
		}
		for _, item := range items {
			f.addPod(c.Context, item)
		}
	}
	return nil
}

func (f *Found) addPod(cluster string, object []byte) {
	var p pod
	if err := json.Unmarshal(object, &p); err != nil || p.Status.HostIP == "" {
		f.Unreached = append(f.Unreached, audit.Fault{Subject: "Pod " + p.Metadata.Name, Reason: "it does not run"})
		return
	}
	address := p.Status.HostIP
	if !p.Spec.HostNetwork {
		address = p.Status.PodIP
	}
	found, err := host.ReadPod(object, p.Spec.NodeName, "Pod "+p.Metadata.Name, address)
	if err != nil {
		f.Unreached = append(f.Unreached, audit.Fault{Subject: "Pod " + p.Metadata.Name, Reason: err.Error()})
		return
	}
	f.Settings = append(f.Settings, found.Settings...)
	f.Unreached = append(f.Unreached, found.Unreached...)
	for _, l := range found.Listeners {
		f.add(collect.Endpoint{Address: l.Address, Kind: l.Kind, ExpectedNames: l.Names, Settings: l.Of, ClusterName: cluster})
	}
}

func findNodes(ctx context.Context, c *kubeapi.Client, f *Found) error {
	for _, label := range controlPlane() {
		items, err := c.List(ctx, "/api/v1/nodes", label)
		if kubeapi.IsStatus(err, http.StatusForbidden) {
			f.Unreached = append(f.Unreached, audit.Fault{Subject: "nodes", Reason: "the user of the kubeconfig may not list them"})
			return nil
		}
		if err != nil {
			return err
		}
		for _, item := range items {
			var n node
			if err := json.Unmarshal(item, &n); err != nil || n.internalIP() == "" {
				f.Unreached = append(f.Unreached, audit.Fault{Subject: "node " + n.Metadata.Name, Reason: "it has no InternalIP"})
				continue
			}
			kubelet := n.Status.DaemonEndpoints.KubeletEndpoint.Port
			if kubelet == 0 {
				kubelet = 10250
			}
			f.add(collect.Endpoint{Address: net.JoinHostPort(n.internalIP(), fmt.Sprint(kubelet)), Kind: audit.Kubelet, ClusterName: c.Context})
		}
	}
	// The API server that answered is one of them; the others are behind the same name.
	f.add(collect.Endpoint{Address: c.Host(), Kind: audit.APIServer, ClusterName: c.Context})
	return nil
}

func (f *Found) add(e collect.Endpoint) {
	if !slices.ContainsFunc(f.Endpoints, func(known collect.Endpoint) bool { return known.Address == e.Address }) {
		f.Endpoints = append(f.Endpoints, e)
	}
}
