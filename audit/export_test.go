package audit

// ReadReportUpTo is ReadReport with another bound.
var ReadReportUpTo = readReport
