package clitest

// OneMemberSpec is a cluster of one member, with revocation lists and a client for backups.
const OneMemberSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: found}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.99.0.1]}]
  clients: [{name: backup, role: backup}]
  pki: {crl: true}
`

// ThreeMembersSpec is a cluster of three members as systemd units. Its store has
// ThreeMembersKeys keys.
const ThreeMembersSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: faults}
spec:
  etcd:
    version: "3.6.16"
    runtime: systemd
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
      - {name: etcd-1, addresses: [10.0.0.12]}
      - {name: etcd-2, addresses: [10.0.0.13]}
`

// ThreeMembersKeys counts two roots, three issuing CAs, two leaves for each of three members
// and three clients.
const ThreeMembersKeys = 14
