// Package host finds the etcds and the kube-apiserver of a host and what they were told: by
// their processes, static Pods and systemd units, with the configuration and environment
// files that those name, and works out which of it is effective. It reads and never writes,
// keeps no key and no password, and takes every file for hostile: bounded, and resolved
// inside the root that it was given.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// Config says where to look for etcd.
type Config struct {
	Root      string   // of the host: "/", or where it is mounted; empty is "/"
	Manifests []string // folders of static Pods beside the usual ones, as paths on the host
}

// Host lists what was found on a host.
type Host struct {
	Name string
	// Etcds is in the order of the origins. Each has APIServer and Encryption.
	Etcds []*audit.Settings
	// APIServer is nil if there is none. A host may have one and no etcd. It has Encryption
	// too.
	APIServer *audit.Settings
	// Embedded is an etcd in the process of another program; nil if none was found.
	Embedded *Embedded
	// Faults lists what could not be read of the host as a whole.
	Faults []audit.Fault
	// Missed lists those of the Faults behind which another etcd may be, or what a restart
	// brings of one that was found.
	Missed []audit.Fault
	// Listeners lists the listeners of the etcds that this host can reach.
	Listeners []Listener
	// Unreached lists the listeners of the etcds that cannot be dialled from here.
	Unreached []Unreached
	// Credentials lists the client certificates on the host for its etcds, the best first.
	Credentials []Credentials
}

// collector keeps the state of one look at a host.
type collector struct {
	host     *tree
	trees    []*tree // of containers
	hostname string
	names    ownerNames
	faults   []audit.Fault
	missed   []audit.Fault

	sawProcesses bool
	enabledUnits []string
}

// Find looks at a host. The result says what could not be read. The error means that the root
// itself cannot be read.
func Find(ctx context.Context, config Config) (*Host, error) {
	if config.Root == "" {
		config.Root = "/"
	}
	root, err := openTree(config.Root)
	if err != nil {
		return nil, fmt.Errorf("opening the root of the host: %w", err)
	}
	c := &collector{host: root}
	defer c.close()
	c.hostname = c.name(config.Root)
	c.names = c.ownerNames()
	running := c.processes()
	manifests := c.manifests(c.manifestDirs(config.Manifests))
	units := c.units()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := c.match(running, slices.Concat(manifests, units))
	h := &Host{Name: c.hostname, Faults: c.faults, Missed: c.missed, Embedded: c.embedded()}
	for _, one := range found {
		c.describeFiles(one)
		if one.settings.Program == kubeAPIServer {
			if h.APIServer != nil {
				h.Missed = append(h.Missed, audit.Fault{Subject: one.settings.Origin, Reason: "of the kube-apiservers of the host, only " + h.APIServer.Origin + " is audited"})
				continue
			}
			h.APIServer = one.settings
			h.addAPIServer(one)
			continue
		}
		h.Etcds = append(h.Etcds, one.settings)
	}
	for _, one := range found {
		if one.settings.Program == etcd {
			one.settings.APIServer = h.APIServer
			if h.APIServer != nil {
				one.settings.Encryption = h.APIServer.Encryption
			}
			h.addListeners(one)
			h.addHealthcheck(one)
		}
	}
	return h, nil
}

func (c *collector) close() {
	c.host.close()
	for _, t := range c.trees {
		t.close()
	}
}

// fault notes what could not be read of the host, and behind which no etcd can be.
func (c *collector) fault(subject string, err error) {
	if f := faultOf(subject, err); !slices.Contains(c.faults, f) {
		c.faults = append(c.faults, f)
	}
}

// miss notes what could not be read of the host, and behind which an etcd may be.
func (c *collector) miss(subject string, err error) {
	c.fault(subject, err)
	if f := faultOf(subject, err); !slices.Contains(c.missed, f) {
		c.missed = append(c.missed, f)
	}
}

func faultOf(subject string, err error) audit.Fault {
	return audit.Fault{Subject: makePrintable(subject), Reason: makePrintable(explainError(err))}
}

// missUnlessAbsent does the same as miss for what exists.
func (c *collector) missUnlessAbsent(subject string, err error) {
	if !isNotThere(err) {
		c.miss(subject, err)
	}
}

func isNotThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// UnknownName stands for the name of a host that nothing tells.
const UnknownName = "host"

// name returns the name of the host: that of this machine, or the one that a mounted host has
// in /etc/hostname.
func (c *collector) name(root string) string {
	if root == "/" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			return UnknownName
		}
		return makePrintable(name)
	}
	data, err := c.host.readFile("/etc/hostname", maxFile)
	if err != nil {
		return UnknownName
	}
	name := strings.TrimSpace(string(data))
	odd := func(r rune) bool { return r <= ' ' || r == ':' || r == '/' }
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, odd) {
		return UnknownName
	}
	return makePrintable(name)
}

// manifestDirs returns the folders where the kubelet looks for static Pods: kubeadm's, RKE2's,
// and the one of the kubelet's configuration.
func (c *collector) manifestDirs(given []string) []string {
	dirs := append([]string{"/etc/kubernetes/manifests", "/var/lib/rancher/rke2/agent/pod-manifests"}, given...)
	const kubelet = "/var/lib/kubelet/config.yaml"
	data, err := c.host.readFile(kubelet, maxFile)
	if err != nil {
		c.missUnlessAbsent(kubelet, err)
	} else {
		var config struct {
			StaticPodPath string `json:"staticPodPath"`
		}
		if err := yaml.Unmarshal(data, &config); err != nil {
			c.miss(kubelet, fmt.Errorf("not YAML: %s", strictyaml.Problem(err)))
		}
		if path.IsAbs(config.StaticPodPath) {
			dirs = append(dirs, config.StaticPodPath)
		}
	}
	var distinct []string
	for _, dir := range dirs {
		if dir = path.Clean(dir); !slices.Contains(distinct, dir) {
			distinct = append(distinct, dir)
		}
	}
	return distinct
}
