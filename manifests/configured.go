package manifests

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
)

// ConfiguredHost is a host that a member's configuration tells to others.
type ConfiguredHost struct {
	File    string // in the store
	Setting string // such as advertise-client-urls
	Member  string // the member that others reach there
	Host    string
	Peer    bool  // whether peers reach it there, and not clients
	Fault   error // why the file could not be read; it then has no other field but File
}

// ReadConfigured reads the files that [Member] has written for the members of a spec, and returns the
// hosts in them. It leaves out a file that read does not find.
func ReadConfigured(c *cluster.Cluster, read func(name string) ([]byte, error)) ([]ConfiguredHost, error) {
	var hosts []ConfiguredHost
	for _, m := range c.Etcd.Members {
		files, err := Member(c, m)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			data, err := read(f.Path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			var found []ConfiguredHost
			if err == nil {
				found, err = parseConfigured(f.Path, m.Name, data)
			}
			if err != nil {
				found = []ConfiguredHost{{Fault: err}}
			}
			for _, h := range found {
				h.File = f.Path
				hosts = append(hosts, h)
			}
		}
	}
	return hosts, nil
}

// parseConfigured reads etcd's configuration, a static Pod, or a unit with flags.
func parseConfigured(name, member string, data []byte) ([]ConfiguredHost, error) {
	var config etcdConfig
	switch path.Base(name) {
	case configFile:
		if err := yaml.Unmarshal(data, &config); err != nil {
			return nil, err
		}
	case podFile:
		var p pod
		if err := yaml.Unmarshal(data, &p); err != nil {
			return nil, err
		}
		for _, c := range p.Spec.Containers {
			config.takeURLs(c.Command)
		}
	case unitFile:
		config.takeURLs(strings.Fields(string(data)))
	}
	var hosts []ConfiguredHost
	add := func(setting, member, urls string, peer bool) error {
		for _, s := range splitList(urls) {
			u, err := url.Parse(s)
			if err != nil || u.Hostname() == "" {
				return fmt.Errorf("%s: %q is not a URL", setting, s)
			}
			hosts = append(hosts, ConfiguredHost{Setting: setting, Member: member, Host: u.Hostname(), Peer: peer})
		}
		return nil
	}
	faults := []error{
		add("advertise-client-urls", member, config.AdvertiseClientURLs, false),
		add("initial-advertise-peer-urls", member, config.InitialAdvertisePeerURLs, true),
	}
	for _, entry := range splitList(config.InitialCluster) {
		other, u, _ := strings.Cut(entry, "=")
		if other != member || !slices.Contains(splitList(config.InitialAdvertisePeerURLs), u) {
			faults = append(faults, add("initial-cluster", other, u, true))
		}
	}
	return hosts, errors.Join(faults...)
}

// takeURLs reads the URLs that others are told from a command line, as flags writes it.
func (config *etcdConfig) takeURLs(flags []string) {
	for _, flag := range flags {
		name, value, _ := strings.Cut(flag, "=")
		switch name {
		case "--advertise-client-urls":
			config.AdvertiseClientURLs = value
		case "--initial-advertise-peer-urls":
			config.InitialAdvertisePeerURLs = value
		case "--initial-cluster":
			config.InitialCluster = value
		}
	}
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
