# Hashes of lists of strings, and text that grows.
use strict;
use warnings;

my $scale = shift;
my %lists;
for my $i (0 .. 10000 * $scale) {
    push @{ $lists{ $i % 997 } }, "line $i of " . ("x" x ($i % 60));
}
my $text = "";
for my $key (sort { $a <=> $b } keys %lists) {
    $text .= join(",", map { s/line (\d+)/<$1>/r } reverse @{ $lists{$key} }) . "\n";
}
my $count = () = $text =~ /<\d*7>/g;
my @lines = sort split /\n/, $text;
delete @lists{ grep { $_ % 2 } keys %lists };
my $sum = 0;
$sum += length $_->[-1] for values %lists;
printf "%d %d %d %d\n", length $text, $count, scalar @lines, $sum;
