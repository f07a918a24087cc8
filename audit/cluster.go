package audit

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// EtcdCluster puts the listeners of one cluster side by side, for what no single one tells.
type EtcdCluster struct {
	Address string    // its name for people, such as "cluster prod"
	Now     time.Time // when its listeners were collected
	Paths
	Observer

	Interrupted bool        // the audit ended before all listeners were observed, and Listeners is empty
	Listeners   []*Listener // in the order in which they were asked for
	Snapshots   *Snapshots  // nil if nobody said where they are
}

// Identity implements Subject.
func (c *EtcdCluster) Identity() (address string, kind Kind) { return c.Address, Cluster }

// Place implements Subject.
func (c *EtcdCluster) Place() Place {
	p := c.place()
	p.OnHost = c.hostOf(c.Address == unnamed || c.Address == Unnamed)
	return p
}

// Unreached implements Target. A cluster is made of its listeners, each of which tells its own reason.
func (c *EtcdCluster) Unreached() string {
	if c.Interrupted {
		return Interrupted
	}
	return ""
}

// Clusters puts the listeners of each cluster side by side, as one EtcdCluster
// each, in the order in which their first listener comes. Listeners are of one cluster if
// the spec says so, or if they tell the same cluster ID; one that tells none, such as a
// metrics port, is of the cluster of its host. An API server or kubelet of which even that
// is not known is of the only cluster there is. Listeners of which nothing tells the cluster
// are in none, unless nothing tells any cluster and there is an API server or kubelet: to
// name it beside them says that they are one. Where the audit was interrupted, the clusters
// are without their listeners.
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

// clustersOfHosts gives for each host the name of its cluster, empty if it has two.
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

// Unnamed is the cluster of a store or listeners of which nothing tells the cluster, where there is no other.
const Unnamed = "cluster"

// unnamed is the cluster of listeners that do not tell their own.
const unnamed = "cluster of the given endpoints"

// onlyCluster is the cluster that an API server or kubelet without one belongs to; empty if
// there is none or more than one.
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

// isForeign reports whether a listener is not one of etcd's.
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
	if err != nil {
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
