//! The page and the JSON API: what they show in good and bad times, to whom, and under which headers.

mod contract;
mod contrast;
mod hostile;
mod html;
mod http;
mod live;
mod locks;
mod pages;
mod sample;
mod sample_work;
mod scheduled;
mod site;
mod size;
