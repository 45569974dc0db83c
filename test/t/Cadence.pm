# What the TAP tests share, in parts: whoever uses this has all of them but Resident.

package Cadence;

use strict;
use warnings;

use Exporter qw(import);

use Cadence::Certificates;
use Cadence::Cluster;
use Cadence::Data;
use Cadence::Door;
use Cadence::Preload;
use Cadence::Provider;
use Cadence::Session;
use Cadence::SQL;
use Cadence::Wait;

our @EXPORT = map { no strict 'refs'; @{"Cadence::${_}::EXPORT"} }
  qw(Certificates Cluster Data Door Preload Provider Session SQL Wait);

1;
