package report

// stigRule is a rule of the DISA Kubernetes STIG.
type stigRule struct {
	group    string // its Vulnerability ID, which no release changes
	severity string // high is CAT I, medium CAT II
	title    string
}

// stigRules returns the rules that checks refer to, with the titles of version 2 (DISA,
// Kubernetes STIG V2R6). A reference to any other rule is listed under the check's own title.
func stigRules() []stigRule {
	return []stigRule{
		{"V-242378", "medium", "The Kubernetes API Server must use TLS 1.2, at a minimum, to protect the confidentiality of sensitive data during electronic dissemination."},
		{"V-242379", "medium", "The Kubernetes etcd must use TLS to protect the confidentiality of sensitive data during electronic dissemination."},
		{"V-242380", "medium", "The Kubernetes etcd must use TLS to protect the confidentiality of sensitive data during electronic dissemination."},
		{"V-242413", "medium", "The Kubernetes etcd must enforce ports, protocols, and services (PPS) that adhere to the Ports, Protocols, and Services Management Category Assurance List (PPSM CAL)."},
		{"V-242418", "medium", "The Kubernetes API server must use approved cipher suites."},
		{"V-242423", "medium", "Kubernetes etcd must enable client authentication to secure service."},
		{"V-242426", "medium", "Kubernetes etcd must enable client authentication to secure service."},
		{"V-242427", "medium", "Kubernetes etcd must have a key file for secure communication."},
		{"V-242428", "medium", "Kubernetes etcd must have a certificate for communication."},
		{"V-242429", "medium", "Kubernetes etcd must have the SSL Certificate Authority set."},
		{"V-242430", "medium", "Kubernetes etcd must have a certificate for communication."},
		{"V-242431", "medium", "Kubernetes etcd must have a key file for secure communication."},
		{"V-242432", "medium", "Kubernetes etcd must have peer-cert-file set for secure communication."},
		{"V-242433", "medium", "Kubernetes etcd must have a peer-key-file set for secure communication."},
		{"V-242445", "medium", "The Kubernetes component etcd must be owned by etcd."},
		{"V-242451", "medium", "The Kubernetes component PKI must be owned by root."},
		{"V-242459", "medium", "The Kubernetes etcd must have file permissions set to 644 or more restrictive."},
		{"V-242466", "medium", "The Kubernetes PKI CRT must have file permissions set to 644 or more restrictive."},
		{"V-242467", "medium", "The Kubernetes PKI keys must have file permissions set to 600 or more restrictive."},
		{"V-274882", "high", "Kubernetes Secrets must be encrypted at rest."},
	}
}
