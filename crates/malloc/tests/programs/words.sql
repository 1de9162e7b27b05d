create table words (id integer primary key, word text, amount real);
create index by_word on words (word);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
insert into words select i, 'word' || (i * 7919 % 10007), i / 3.0 from n;
select count(*), count(distinct word), round(sum(amount), 2) from words;
select substr(word, 5, 1) as first, count(*), group_concat(id % 10, '') is not null from words group by first order by first;
update words set word = word || word where id % 3 = 0;
delete from words where id % 5 = 0;
select word, count(*) as c from words group by word order by c desc, word limit 5;
select length(group_concat(a.word)) from words a join words b on a.id = b.id + 1 where a.id < 3000;
select sum(length(hex(zeroblob(id)))) from words where id < 2000;
vacuum;
pragma integrity_check;
