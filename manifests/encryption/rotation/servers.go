package rotation

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// Servers returns the API servers, each at its own address: those of the flag --apiserver, written as
// NAME=HOST:PORT, or else those of the spec, at the given port. client is the cluster's.
func Servers(written []string, c *cluster.Cluster, port uint16, client *kubeapi.Client) ([]Server, error) {
	var servers []Server
	add := func(name, address string) error {
		at, err := client.At(address)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		servers = append(servers, Server{Name: name, Client: at})
		return nil
	}
	for _, w := range written {
		name, address, found := strings.Cut(w, "=")
		if _, _, err := net.SplitHostPort(address); !found || name == "" || err != nil {
			return nil, fmt.Errorf("--apiserver %q: want NAME=HOST:PORT", w)
		}
		if slices.ContainsFunc(servers, func(s Server) bool { return s.Name == name || s.Client.Host() == address }) {
			return nil, fmt.Errorf("--apiserver %q: its name or address is given twice", w)
		}
		if err := add(name, address); err != nil {
			return nil, err
		}
	}
	if len(written) == 0 {
		for _, host := range c.APIServers {
			if err := add(host.Name, net.JoinHostPort(host.Addresses[0].String(), strconv.Itoa(int(port)))); err != nil {
				return nil, err
			}
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("spec.apiServers is empty, but the rotation asks every API server")
	}
	return servers, nil
}

// LocalFiles returns the files of this machine that API servers read, by the name of the server. They
// are written as NAME=FILE, as the flag --install takes them.
func LocalFiles(written []string, servers []Server) (map[string]string, error) {
	local := map[string]string{}
	for _, w := range written {
		name, path, found := strings.Cut(w, "=")
		known := slices.ContainsFunc(servers, func(s Server) bool { return s.Name == name })
		if !found || path == "" || !known {
			return nil, fmt.Errorf("--install %q: want NAME=FILE with the name of an API server", w)
		}
		local[name] = path
	}
	return local, nil
}
