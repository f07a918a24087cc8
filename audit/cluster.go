package audit

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// EtcdCluster is a [Target] that holds all listeners of one cluster, for checks that compare them.
type EtcdCluster struct {
	Address string    // its name for people, such as "cluster prod"
	Now     time.Time // when its listeners were collected
	Paths
	Observer

	Interrupted bool        // the audit ended too early, and Listeners is empty
	Listeners   []*Listener // in the order of the request
	Snapshots   *Snapshots  // nil if no folder was given
}

// Identity implements Subject.
func (c *EtcdCluster) Identity() (address string, kind Kind) { return c.Address, Cluster }

// Place implements Subject. Its addresses are those of one member: the first that told its status, or
// else the first that was asked.
func (c *EtcdCluster) Place() Place {
	p := c.place()
	p.OnHost = c.hostOf(c.Address == unnamed || c.Address == Unnamed)
	ports := c.Of(Client)
	if at := slices.IndexFunc(ports, func(l *Listener) bool { return l.Status != nil }); at >= 0 {
		ports = ports[at:]
	}
	if len(ports) > 0 {
		p.takeListener(Client, ports[0].Address)
		p.EndpointURLs = []string{ports[0].clientURL()}
	}
	return p
}

// Unreached implements Target. Each listener of a cluster has its own reason.
func (c *EtcdCluster) Unreached() string {
	if c.Interrupted {
		return Interrupted
	}
	return ""
}

// Clusters groups listeners into one [EtcdCluster] for each cluster, in the order of their first
// listeners. Listeners belong to one cluster if the spec says so, or if they tell the same cluster ID.
// A listener that tells none, such as a metrics port, belongs to the cluster of its host. An API
// server or kubelet whose host has no known cluster belongs to the only cluster, if there is only
// one. Other listeners with an unknown cluster belong to none. But if no cluster is known and there is
// an API server or kubelet, all of them form one cluster, because the operator named them together.
// If the audit was interrupted, the clusters have no listeners.
func Clusters(listeners []*Listener) []*EtcdCluster {
	hosts, only := clustersOfHosts(listeners), onlyCluster(listeners)
	var clusters []*EtcdCluster
	for _, t := range listeners {
		name := clusterName(t)
		if name == "" {
			name = hosts[t.Host()]
		}
		if name == "" && (isForeign(t) || only == unnamed) {
			name = only
		}
		if name == "" {
			continue
		}
		at := slices.IndexFunc(clusters, func(c *EtcdCluster) bool { return c.Address == name })
		if at < 0 {
			at = len(clusters)
			clusters = append(clusters, &EtcdCluster{Address: name, Now: t.Now})
		}
		clusters[at].Listeners = append(clusters[at].Listeners, t)
	}
	if slices.ContainsFunc(listeners, (*Listener).Interrupted) {
		// Whose the listeners are that were not observed nobody knows, so no cluster is whole.
		for _, c := range clusters {
			c.Listeners, c.Interrupted = nil, true
		}
	}
	return clusters
}

// clustersOfHosts maps each host to the name of its cluster, which is empty if the host has two.
func clustersOfHosts(listeners []*Listener) map[string]string {
	hosts := map[string]string{}
	for _, t := range listeners {
		name := clusterName(t)
		if name == "" {
			continue
		}
		host := t.Host()
		if known, found := hosts[host]; found && known != name {
			name = "" // and it stays so: a later listener finds it known
		}
		hosts[host] = name
	}
	return hosts
}

// Unnamed is the name of a cluster or store if nothing tells its name and there is no other.
const Unnamed = "cluster"

// unnamed is the name of the cluster of listeners that tell no cluster.
const unnamed = "cluster of the given endpoints"

// onlyCluster returns the cluster of an API server or kubelet that has none of its own; it is empty if
// there is no cluster or more than one.
func onlyCluster(listeners []*Listener) string {
	var names []string
	withForeign := false
	for _, t := range listeners {
		withForeign = withForeign || isForeign(t)
		if name := clusterName(t); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 1:
		return names[0]
	case len(names) == 0 && withForeign:
		return unnamed
	default:
		return ""
	}
}

// isForeign reports whether a listener does not belong to etcd.
func isForeign(t *Listener) bool { return t.Kind == APIServer || t.Kind == Kubelet }

func clusterName(t *Listener) string {
	switch {
	case t.ClusterName != "":
		return "cluster " + t.ClusterName
	case t.ClusterID != 0:
		return fmt.Sprintf("cluster %x", t.ClusterID)
	default:
		return ""
	}
}

// Host returns the host of the address, without the port.
func (l *Listener) Host() string {
	host, _, err := net.SplitHostPort(l.Address)
	if err != nil || l.Socket != "" {
		return l.Address
	}
	return host
}

// Of returns the listeners of the cluster that have one of the given kinds.
func (c *EtcdCluster) Of(kinds ...Kind) []*Listener {
	var of []*Listener
	for _, l := range c.Listeners {
		if slices.Contains(kinds, l.Kind) {
			of = append(of, l)
		}
	}
	return of
}
