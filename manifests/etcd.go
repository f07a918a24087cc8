// Package manifests renders the files that run etcd on a node: its configuration, and a systemd unit
// or static Pod. Equal specs give equal bytes.
package manifests

import (
	"crypto/tls"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
)

// File is a rendered file. Path is slash-separated and relative to the store.
type File struct {
	Path string
	Data []byte
}

// etcdConfig is etcd's configuration in the names of its --config-file
// (server/embed/config.go). The flags have the same names, except for the two TLS blocks.
type etcdConfig struct {
	Name                     string   `json:"name"`
	DataDir                  string   `json:"data-dir"`
	ListenClientURLs         string   `json:"listen-client-urls"`
	AdvertiseClientURLs      string   `json:"advertise-client-urls"`
	ListenPeerURLs           string   `json:"listen-peer-urls"`
	InitialAdvertisePeerURLs string   `json:"initial-advertise-peer-urls"`
	ListenMetricsURLs        string   `json:"listen-metrics-urls"`
	InitialCluster           string   `json:"initial-cluster"`
	InitialClusterState      string   `json:"initial-cluster-state"`
	InitialClusterToken      string   `json:"initial-cluster-token"`
	StrictReconfigCheck      bool     `json:"strict-reconfig-check"`
	ClientTLS                tlsBlock `json:"client-transport-security"`
	PeerTLS                  tlsBlock `json:"peer-transport-security"`
	TLSMinVersion            string   `json:"tls-min-version"`
	CipherSuites             []string `json:"cipher-suites,omitempty"`
	EnableGRPCGateway        bool     `json:"enable-grpc-gateway"`
	EnablePprof              bool     `json:"enable-pprof"`
	LogLevel                 string   `json:"log-level"`
	LogOutputs               []string `json:"log-outputs"`
	QuotaBackendBytes        int64    `json:"quota-backend-bytes"`
	AutoCompactionMode       string   `json:"auto-compaction-mode,omitempty"`
	AutoCompactionRetention  string   `json:"auto-compaction-retention,omitempty"`

	// The same settings under the names of etcd 3.5 and of 3.6 and later.
	ExperimentalInitialCorruptCheck bool   `json:"experimental-initial-corrupt-check,omitempty"`
	ExperimentalProgressNotify      int64  `json:"experimental-watch-progress-notify-interval,omitempty"` // ns
	FeatureGates                    string `json:"feature-gates,omitempty"`
	ProgressNotify                  int64  `json:"watch-progress-notify-interval,omitempty"` // ns
}

// tlsBlock holds the TLS settings of one port. With client-cert-auth and without trusted-ca-file, etcd
// would trust every CA of the operating system.
type tlsBlock struct {
	CertFile       string `json:"cert-file"`
	KeyFile        string `json:"key-file"`
	ClientCertAuth bool   `json:"client-cert-auth"`
	TrustedCAFile  string `json:"trusted-ca-file"`
	ClientCertFile string `json:"client-cert-file,omitempty"`
	ClientKeyFile  string `json:"client-key-file,omitempty"`
	// CRLFile has a flag and no key in etcd's configuration file.
	CRLFile string `json:"-"`
}

// quotaBytes is the largest backend that etcd's documentation recommends.
const quotaBytes = 8 << 30

// progressNotifyNanoseconds lets kube-apiserver's watch cache answer consistent reads; kubeadm sets the same.
const progressNotifyNanoseconds = 5_000_000_000

var experimentalFlagsEnd = cluster.Version{Major: 3, Minor: 6}

func newEtcdConfig(c *cluster.Cluster, m cluster.Member) etcdConfig {
	e, files := c.Etcd, c.Files(m)
	at := func(name string) string { return path.Join(c.Etcd.PKIDir(m), name) }
	config := etcdConfig{
		Name:                     m.Name,
		DataDir:                  e.DataDir(m),
		ListenClientURLs:         listenURLs(e, m, e.ClientPort, true),
		AdvertiseClientURLs:      httpsURL(m.Advertised().String(), e.ClientPort),
		ListenPeerURLs:           listenURLs(e, m, e.PeerPort, false),
		InitialAdvertisePeerURLs: httpsURL(m.Advertised().String(), e.PeerPort),
		ListenMetricsURLs:        metricsURLs(c, m),
		InitialCluster:           initialCluster(e),
		InitialClusterState:      "new",
		InitialClusterToken:      c.Name,
		StrictReconfigCheck:      true,
		ClientTLS: tlsBlock{
			CertFile: at(files.Server.Cert), KeyFile: at(files.Server.Key),
			ClientCertAuth: true, TrustedCAFile: at(files.ClientCA),
		},
		PeerTLS: tlsBlock{
			CertFile: at(files.Peer.Cert), KeyFile: at(files.Peer.Key),
			ClientCertAuth: true, TrustedCAFile: at(files.PeerCA),
		},
		TLSMinVersion:     "TLS1.3",
		EnableGRPCGateway: e.EnableGRPCGateway,
		LogLevel:          "info",
		LogOutputs:        []string{"stderr"},
		QuotaBackendBytes: quotaBytes,
	}
	if m.Joining {
		config.InitialClusterState = "existing"
	}
	if e.EnableGRPCGateway && c.OwnFlags() {
		config.ClientTLS.ClientCertFile = at(files.GatewayClient.Cert)
		config.ClientTLS.ClientKeyFile = at(files.GatewayClient.Key)
	}
	if c.RBAC.Compaction == cluster.CompactionByEtcd {
		config.AutoCompactionMode, config.AutoCompactionRetention = "periodic", cluster.AutoCompactionRetention
	}
	if c.PKI.CRL {
		config.ClientTLS.CRLFile, config.PeerTLS.CRLFile = at(files.ClientCRL), at(files.PeerCRL)
	}
	if e.TLSMinVersion == tls.VersionTLS12 {
		// With a minimum of TLS 1.3 etcd refuses to start with a list of suites.
		config.TLSMinVersion, config.CipherSuites = "TLS1.2", aeadSuites()
	}
	if e.Version.Compare(experimentalFlagsEnd) < 0 {
		config.ExperimentalInitialCorruptCheck, config.ExperimentalProgressNotify = true, progressNotifyNanoseconds
	} else {
		config.FeatureGates, config.ProgressNotify = "InitialCorruptCheck=true", progressNotifyNanoseconds
	}
	return config
}

// aeadSuites returns the TLS 1.2 suites with forward secrecy and authenticated encryption.
// Go's default list also has CBC suites.
func aeadSuites() []string {
	return []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	}
}

// listenURLs returns the URLs on which a member listens: its IP addresses, and loopback for tools on
// the node. etcd accepts no DNS names here, so a member without an IP address, or one whose Pod gets
// its address later, listens on all addresses.
func listenURLs(e cluster.Etcd, m cluster.Member, port uint16, withLoopback bool) string {
	ips := m.IPs()
	if len(ips) == 0 || e.Runtime == cluster.Hosted {
		return httpsURL("0.0.0.0", port)
	}
	urls := make([]string, 0, len(ips)+1)
	loopback := false
	for _, ip := range ips {
		urls = append(urls, httpsURL(ip.String(), port))
		loopback = loopback || ip.IsLoopback()
	}
	// Members that live on loopback addresses share one machine, and so 127.0.0.1.
	if withLoopback && !loopback {
		urls = append(urls, httpsURL("127.0.0.1", port))
	}
	return strings.Join(urls, ",")
}

// metricsHost returns a loopback address: /metrics has no authentication of its own.
func metricsHost(m cluster.Member) string {
	for _, ip := range m.IPs() {
		if ip.IsLoopback() {
			return ip.String()
		}
	}
	return "127.0.0.1"
}

// metricsURLs returns loopback and, if the spec has scrapers, the member's IP addresses. There
// /metrics has the client port's TLS, which requires a client certificate of its CA. One port cannot
// be bound on a wildcard and on loopback, so hosted members have no loopback.
func metricsURLs(c *cluster.Cluster, m cluster.Member) string {
	port := c.Etcd.MetricsPort
	loopback := "http://" + hostPort(metricsHost(m), port)
	if len(c.Isolation.Scrapers) == 0 && c.Isolation.Pods.Scraper.IsZero() {
		return loopback
	}
	if c.Etcd.Runtime == cluster.Hosted {
		return httpsURL("0.0.0.0", port)
	}
	urls := []string{loopback}
	for _, ip := range m.IPs() {
		if !ip.IsLoopback() {
			urls = append(urls, httpsURL(ip.String(), port))
		}
	}
	return strings.Join(urls, ",")
}

func initialCluster(e cluster.Etcd) string {
	members := make([]string, 0, len(e.Members))
	for _, m := range e.Members {
		members = append(members, m.Name+"="+httpsURL(m.Advertised().String(), e.PeerPort))
	}
	return strings.Join(members, ",")
}

func httpsURL(host string, port uint16) string { return "https://" + hostPort(host, port) }

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// Names of a member's files.
const (
	podFile    = "etcd.yaml"
	unitFile   = "etcd.service"
	configFile = "etcd.conf.yaml"
)

// Member renders the files that the node of a member needs besides its certificates; none if another
// tool runs etcd with its own configuration.
func Member(c *cluster.Cluster, m cluster.Member) ([]File, error) {
	if c.PKI.Layout != cluster.LayoutCustom && c.PKI.Layout != cluster.LayoutEtcdsec || c.PKI.Hierarchy == cluster.Shared {
		return nil, nil
	}
	config := newEtcdConfig(c, m)
	dir := path.Join("nodes", m.Name)
	if c.Etcd.Runtime == cluster.StaticPod {
		pod, err := staticPod(c, m, config)
		return []File{{path.Join(dir, podFile), pod}}, err
	}
	var files []File
	if c.Etcd.Runtime == cluster.Systemd {
		files = append(files, File{path.Join(dir, unitFile), systemdUnit(c, m, config)})
	}
	if c.PKI.CRL {
		return files, nil // the unit has it all in flags
	}
	data, err := config.yaml()
	if err != nil {
		return nil, err
	}
	return append([]File{{path.Join(dir, configFile), data}}, files...), nil
}

func (config etcdConfig) yaml() ([]byte, error) {
	body, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration of %s: %w", config.Name, err)
	}
	header := "# Written by etcdsec. etcd ignores every flag and variable beside --config-file.\n"
	return append([]byte(header), body...), nil
}

// flags returns the configuration as a command line, which audits of static Pods read.
func (config etcdConfig) flags() []string {
	flags := []string{
		"--name=" + config.Name,
		"--data-dir=" + config.DataDir,
		"--listen-client-urls=" + config.ListenClientURLs,
		"--advertise-client-urls=" + config.AdvertiseClientURLs,
		"--listen-peer-urls=" + config.ListenPeerURLs,
		"--initial-advertise-peer-urls=" + config.InitialAdvertisePeerURLs,
		"--listen-metrics-urls=" + config.ListenMetricsURLs,
		"--initial-cluster=" + config.InitialCluster,
		"--initial-cluster-state=" + config.InitialClusterState,
		"--initial-cluster-token=" + config.InitialClusterToken,
		"--strict-reconfig-check=" + strconv.FormatBool(config.StrictReconfigCheck),
		"--cert-file=" + config.ClientTLS.CertFile,
		"--key-file=" + config.ClientTLS.KeyFile,
		"--client-cert-auth=" + strconv.FormatBool(config.ClientTLS.ClientCertAuth),
		"--trusted-ca-file=" + config.ClientTLS.TrustedCAFile,
		"--peer-cert-file=" + config.PeerTLS.CertFile,
		"--peer-key-file=" + config.PeerTLS.KeyFile,
		"--peer-client-cert-auth=" + strconv.FormatBool(config.PeerTLS.ClientCertAuth),
		"--peer-trusted-ca-file=" + config.PeerTLS.TrustedCAFile,
		"--tls-min-version=" + config.TLSMinVersion,
		"--enable-grpc-gateway=" + strconv.FormatBool(config.EnableGRPCGateway),
		"--enable-pprof=" + strconv.FormatBool(config.EnablePprof),
		"--log-level=" + config.LogLevel,
		"--log-outputs=" + strings.Join(config.LogOutputs, ","),
		"--quota-backend-bytes=" + strconv.FormatInt(config.QuotaBackendBytes, 10),
	}
	if config.ClientTLS.ClientCertFile != "" {
		flags = append(flags,
			"--client-cert-file="+config.ClientTLS.ClientCertFile,
			"--client-key-file="+config.ClientTLS.ClientKeyFile)
	}
	if config.ClientTLS.CRLFile != "" {
		flags = append(flags, "--client-crl-file="+config.ClientTLS.CRLFile, "--peer-crl-file="+config.PeerTLS.CRLFile)
	}
	if config.AutoCompactionMode != "" {
		flags = append(flags, "--auto-compaction-mode="+config.AutoCompactionMode, "--auto-compaction-retention="+config.AutoCompactionRetention)
	}
	if len(config.CipherSuites) > 0 {
		flags = append(flags, "--cipher-suites="+strings.Join(config.CipherSuites, ","))
	}
	if config.FeatureGates == "" {
		return append(flags, "--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s")
	}
	return append(flags, "--feature-gates="+config.FeatureGates, "--watch-progress-notify-interval=5s")
}
